"""How fast shoald starts microVMs, and what it costs while they sleep."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from figures import ROOT, Target
from processes import stop

TITLE = "shoald"
CONDITIONS = ("local /dev/kvm, 32 MiB each, `busybox sleep`; created is the API's answer (on the disk), running the "
              "event that says so")

SHOALD = str(ROOT / "build/shoald")
COUNT = int(os.environ.get("SHOALD_MICROVMS", "150"))
ALONE = 20  # one after the other
CLIENTS = 8
IDLE_S = 5
SETTLE_S = 2  # a guest sets its balloon up half a second after it first waits
DEADLINE_S = 120


class Connection(http.client.HTTPConnection):
    """Of HTTP, on a unix socket, kept open."""

    def __init__(self, path):
        super().__init__("shoald", timeout=DEADLINE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self.path)

    def ask(self, method, target, body=None):
        self.request(method, target, None if body is None else json.dumps(body))
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 300:
            stop(f"{method} {target}: {answer.status} {text!r}")
        return json.loads(text) if text else None


def start(run_dir, folder, *options):
    process = subprocess.Popen([SHOALD, "--run-dir", run_dir, "--state-dir", f"{folder}/state", *options],
                               stdout=subprocess.DEVNULL)
    path = f"{run_dir}/shoald.socket"
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            Connection(path).ask("GET", "/v1/host")
            return process, path
        except OSError:
            if time.monotonic() > deadline:
                stop("shoald does not answer")
            time.sleep(0.01)


class Events:
    """The stream of statuses, from now on."""

    def __init__(self, path):
        self.connection = Connection(path)
        since = self.connection.ask("GET", "/v1/microvms?limit=1")["resource_version"]
        self.connection.request("GET", f"/v1/events?kind=statuses&since={since}")
        self.answer = self.connection.getresponse()

    def running(self):
        """Name and status of each that begins to run, without end."""
        while True:
            event = json.loads(self.answer.readline())
            if event["type"] == "put" and event["object"]["phase"] == "running":
                yield event["name"], event["object"]

    def wait_running(self, names):
        """When each was seen to run."""
        seen = {}
        left = set(names)
        for name, _ in self.running():
            if name in left:
                left.discard(name)
                seen[name] = time.monotonic()
            if not left:
                return seen


BOOTED = {"program": "/bin/busybox", "arguments": ["sleep", "100000"], "memory_mib": 32}
CLONED = {"template": "sleeper"}


def make_template(path):
    script = "/bin/busybox sleep 100000 & read words < /dev/clone; wait"
    Connection(path).ask("POST", "/v1/templates", {"name": CLONED["template"], "program": "/bin/busybox",
                                                   "arguments": ["sh", "-c", script], "memory_mib": 32})


def create(connection, name, spec):
    """When it was asked for, and when that was answered."""
    asked = time.monotonic()
    connection.ask("POST", "/v1/microvms", {"name": name, **spec})
    return asked, time.monotonic()


def measure_alone(samples, path, kind, spec):
    """One at a time, so that nothing waits for another."""
    connection, events = Connection(path), Events(path)
    for number in range(ALONE):
        name = f"{kind}-alone-{number}"
        asked, answered = create(connection, name, spec)
        samples.add(f"{kind}: create, answered, one at a time", (answered - asked) * 1e6)
        samples.add(f"{kind}: create to running, one at a time", (events.wait_running([name])[name] - asked) * 1e6)


def measure_many(samples, path, kind, spec):
    """As many as several clients can ask for."""
    events = Events(path)
    names = [f"{kind}-many-{number}" for number in range(COUNT)]

    def work(client):
        connection = Connection(path)
        return {name: create(connection, name, spec) for name in names[client::CLIENTS]}

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        asked = {}
        parts = [pool.submit(work, client) for client in range(CLIENTS)]
        running = events.wait_running(names)
        for part in parts:
            asked.update(part.result())
    for name in names:
        samples.add(f"{kind}: create to running, {CLIENTS} clients", (running[name] - asked[name][0]) * 1e6)
    samples.add(f"{kind}: starts per second", COUNT / (max(running.values()) - began), "1/s")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family(run_dir):
    """All processes that hold a file of the run folder: supervisors and VMMs."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if any(run_dir in os.readlink(fd) for fd in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            pass
    return found


def private_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def measure_idle(samples, run_dir, shoald):
    time.sleep(SETTLE_S)
    pids = family(run_dir)
    before = {pid: cpu_s(pid) for pid in pids}
    time.sleep(IDLE_S)
    used = sum(cpu_s(pid) - before[pid] for pid in pids)
    samples.add("idle, all processes, of one CPU, for 1000 microVMs", 100 * used / IDLE_S * 1000 / (2 * (COUNT + ALONE)), "%")
    samples.add("idle, shoald alone, of one CPU", 100 * (cpu_s(shoald) - before[shoald]) / IDLE_S, "%")
    supervisors = [pid for pid in pids
                   if b"shoal-supervisor" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]]
    for pid in supervisors:
        samples.add("private memory of a supervisor", private_kib(pid), "KiB")


def delete_all(samples, path):
    connection = Connection(path)
    began = time.monotonic()
    deleted = set()
    while items := connection.ask("GET", "/v1/microvms?limit=1000")["items"]:
        names = {item["name"] for item in items} - deleted
        for name in names:
            connection.ask("DELETE", f"/v1/microvms/{name}?grace_s=0")
        deleted |= names
        if not names:
            time.sleep(0.01)
    samples.add("deletions per second", len(deleted) / (time.monotonic() - began), "1/s")


def measure(samples):
    # In memory, as /run is; what lasts is on the disk.
    with (tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder,
          tempfile.TemporaryDirectory(prefix="shoal-bench-", dir="/dev/shm") as run_dir):
        process, path = start(run_dir, folder)
        try:
            make_template(path)
            for kind, spec in (("booted", BOOTED), ("cloned", CLONED)):
                measure_alone(samples, path, kind, spec)
                measure_many(samples, path, kind, spec)
            measure_idle(samples, run_dir, process.pid)
        finally:
            delete_all(samples, path)
            process.terminate()
            process.wait()


def targets(samples):
    found = []
    for kind in ("booted", "cloned"):
        alone = f"{kind}: create to running, one at a time"
        found += [
            Target(f"{kind}: starts per second through the API", samples.median(f"{kind}: starts per second"), ">=", 150, 1),
            Target(f"{alone}, median in ms", samples.median(alone) / 1000, "<=", 10, samples.runs(alone)),
            Target(f"{alone}, p99 in ms", samples.percentile_99(alone) / 1000, "<=", 50, samples.runs(alone)),
        ]
    running = sum(samples.runs(f"{kind}: create to running, {CLIENTS} clients") + ALONE for kind in ("booted", "cloned"))
    return found + [
        Target("microVMs running at once", running, ">=", 100, 1),
        Target("idle CPU of 1000 microVMs, % of one", samples.median("idle, all processes, of one CPU, for 1000 microVMs"),
               "<=", 2, 1),
    ]
