"""Thousands of microVMs on one host: how fast they come, what each costs, and whether all answer."""
import concurrent.futures
import itertools
import os
import socket
import tempfile
import time

from figures import BENCH, Target
from held_memory import available_kib
from processes import cpu_us, say, stop
from shoald import CLIENTS, Connection, Events, create, delete_all, family, start

TITLE = "MicroVMs packed on one host"
COUNT = int(os.environ.get("PACKED_MICROVMS", "2000"))
ALONE = min(50, COUNT)  # of them, one after the other
MEMORY_MIB = 32
PORT = 7
IDLE_S = 10
CONDITIONS = (f"local /dev/kvm, {COUNT} clones of a server of {MEMORY_MIB} MiB, {CLIENTS} clients; create-to-answer is from the "
              "API call to the first reply by vsock; memory is the fall of MemAvailable, which other processes disturb")
SPEC = {"template": "server"}

ALONE_ANSWER = "create to answer, one at a time"
MANY_ANSWER = f"create to answer, {CLIENTS} clients"
RATE = "starts per second, to the answer"
REPLY = "a reply of one among all"
ANSWERING = "microVMs that answer at once"
MEMORY = "memory of each, all in"
IDLE = "idle, all processes, of one CPU, for 1000 microVMs"


def make_template(path):
    Connection(path).ask("POST", "/v1/templates", {
        "name": SPEC["template"], "program": str(BENCH / "programs/cloned"), "arguments": ["0", "serve"],
        "memory_mib": MEMORY_MIB, "vsock": True})


def ask(name, path):
    """Who answers at this vsock must be `name` (Firecracker's protocol on the unix socket)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(path)
        client.sendall(b"CONNECT %d\n" % PORT)
        said = client.makefile("rb").read()
    if not said.startswith(b"OK ") or name.encode() not in said.split(b"\n", 1)[1]:
        stop(f"{name} said {said!r}")
    return time.monotonic()


def measure_alone(samples, path):
    connection, started = Connection(path), Events(path).running()
    where = {}
    for number in range(ALONE):
        name = f"alone-{number}"
        asked, _ = create(connection, name, SPEC)
        _, status = next(started)
        samples.add(ALONE_ANSWER, (ask(name, status["vsock"]) - asked) * 1e6)
        where[name] = status["vsock"]
    return where


def measure_many(samples, path):
    """As many as several clients can ask for; each is asked as soon as it runs."""
    started = Events(path).running()
    names = [f"many-{number}" for number in range(COUNT - ALONE)]

    def work(client):
        connection = Connection(path)
        return {name: create(connection, name, SPEC)[0] for name in names[client::CLIENTS]}

    began = time.monotonic()
    where, answered, asked = {}, {}, {}
    with concurrent.futures.ThreadPoolExecutor(2 * CLIENTS) as pool:
        parts = [pool.submit(work, client) for client in range(CLIENTS)]
        for name, status in itertools.islice(started, len(names)):
            where[name] = status["vsock"]
            answered[name] = pool.submit(ask, name, status["vsock"])
        for part in parts:
            asked.update(part.result())
    for name in names:
        samples.add(MANY_ANSWER, (answered[name].result() - asked[name]) * 1e6)
    samples.add(RATE, len(names) / (max(answer.result() for answer in answered.values()) - began), "1/s")
    return where


def measure_replies(samples, where):
    """All are there: each says who it is."""
    for name, path in where.items():
        began = time.monotonic()
        samples.add(REPLY, (ask(name, path) - began) * 1e6)
    samples.add(ANSWERING, len(where), "")


def measure_idle(samples, run_dir):
    pids = family(run_dir)
    before, began = sum(map(cpu_us, pids)), time.monotonic()
    time.sleep(IDLE_S)
    used = (sum(map(cpu_us, pids)) - before) / 1e6 / (time.monotonic() - began)
    samples.add(IDLE, 100 * used * 1000 / COUNT, "%")


def measure(samples):
    # In memory, as /run is; what lasts is on the disk.
    with (tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder,
          tempfile.TemporaryDirectory(prefix="shoal-bench-", dir="/dev/shm") as run_dir):
        process, path = start(run_dir, folder)
        try:
            make_template(path)
            before = available_kib()
            where = measure_alone(samples, path) | measure_many(samples, path)
            measure_replies(samples, where)
            samples.add(MEMORY, (before - available_kib()) / COUNT, "KiB")
            measure_idle(samples, run_dir)
        finally:
            delete_all(samples, path)
            process.terminate()
            process.wait()


def targets(samples):
    return [
        Target("microVMs that answer at once", samples.median(ANSWERING), ">=", 2000, 1),
        Target("starts per second through the API, to the answer", samples.median(RATE), ">=", 150, 1),
        Target("create to answer, one at a time, median in ms", samples.median(ALONE_ANSWER) / 1000, "<=", 10, ALONE),
        Target("create to answer, one at a time, p99 in ms", samples.percentile_99(ALONE_ANSWER) / 1000, "<=", 50, ALONE),
        Target("memory of each in MiB", samples.median(MEMORY) / 1024, "<=", 3, 1),
        Target("idle CPU of 1000 microVMs, % of one", samples.median(IDLE), "<=", 2, 1),
    ]
