"""Servers in the unikernel, beside the same programs on the host: their start, their memory."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from figures import BENCH, ROOT, Target
from processes import RUNS, SHOAL, SHOAL_RAM, UNIKERNEL, say, spawn, stop

sys.path.insert(0, str(ROOT / "tests/system"))
from netns import Network, new_namespace, why_no_network  # noqa: E402

TITLE = "Servers in the unikernel, and on the host"
CONDITIONS = ("local /dev/kvm, 1 CPU, 128 MiB (python3: 256); the unikernel over a TAP, the host's servers over a veth pair; from "
              "the process's start to the first byte of the first answer")

FIRST_ANSWER = str(BENCH / "programs/first_answer")
SERVERS = ROOT / "build/tests/servers"
LIBRARIES = f"{SERVERS}/usr/lib/x86_64-linux-gnu"
PYTHON = "/usr/bin/python3"
PYTHON_LIBRARY = os.path.realpath(PYTHON).replace("/bin/", "/lib/")
ADDED_MS = 10  # what a microVM may add to a server's start

NGINX_CONFIG = """daemon off; master_process off; worker_processes 1; error_log stderr; pid {root}/pid;
events {{ worker_connections 2048; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000; client_body_temp_path {root}/1;
    proxy_temp_path {root}/2; fastcgi_temp_path {root}/3; uwsgi_temp_path {root}/4; scgi_temp_path {root}/5;
    server {{ listen 80 backlog=1024; root {root}; }}
}}
"""


class Server:
    """A program, its port, and a request that it answers."""

    def __init__(self, name, port, request, words, options=()):
        self.name = name
        self.port = port
        self.request = request
        self.words = [str(word) for word in words]
        self.options = [str(option) for option in options]


def servers(folder):
    """redis and nginx; what nginx serves is written to the folder."""
    (folder / "small").write_bytes(b"a small file\n")
    (folder / "large").write_bytes(os.urandom(10_000_000))
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(root=folder), encoding="utf-8")
    return (Server("redis", 6379, "PING\r\n", [SERVERS / "usr/bin/redis-server", "--save", "", "--protected-mode", "no"]),
            Server("nginx", 80, "GET /small HTTP/1.0\r\n\r\n",
                   [SERVERS / "usr/sbin/nginx", "-p", folder, "-c", config], ["--with", folder]))


class Place:
    """Where servers run: their address for a client in the network, their namespace, and how they are started."""

    def __init__(self, address, namespace, options=None):
        self.address = address
        self.namespace = f"/proc/{os.getpid()}/fd/{namespace}"
        self._options = options

    def words(self, server):
        if self._options is None:
            return server.words
        return [SHOAL, "run", *self._options, "--env", f"LD_LIBRARY_PATH={LIBRARIES}", *server.options, "--",
                *server.words]

    def popen(self, server):
        return subprocess.Popen(["nsenter", f"--net={self.namespace}", "--", *self.words(server)], env=environment(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def environment():
    return {**os.environ, "LD_LIBRARY_PATH": LIBRARIES}


@contextlib.contextmanager
def places():
    """(network of the clients, {name: Place}): the unikernel behind a TAP, the host behind a veth pair."""
    if reason := why_no_network():
        stop(f"servers are not measured: {reason}")
    other = new_namespace()
    try:
        with Network() as network:
            tap = network.taps[0]
            # Nothing has to be asked before the first packet.
            network.ip("neigh", "replace", tap.guest_address, "lladdr", tap.guest_mac, "nud", "permanent", "dev", tap.name)
            network.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns",
                       f"/proc/{os.getpid()}/fd/{other}")
            network.ip("address", "add", "10.89.0.1/24", "dev", "veth0")
            network.ip("link", "set", "veth0", "up")
            for words in (("address", "add", "10.89.0.2/24", "dev", "veth1"), ("link", "set", "veth1", "up"),
                          ("link", "set", "lo", "up")):
                subprocess.run(["nsenter", f"--net=/proc/{os.getpid()}/fd/{other}", "--", "ip", *words], check=True)
            options = ["--network", f"tap={tap.name},ip={tap.guest_address}/24,mac={tap.guest_mac}"]
            yield network, {"shoal": Place(tap.guest_address, network.namespace, options),
                            "host": Place("10.89.0.2", other)}
    finally:
        os.close(other)


def start(network, place, server):
    """Microseconds from the process's start to the first byte of its first answer."""
    done = network.run([FIRST_ANSWER, place.namespace, place.address, server.port, server.request,
                        *place.words(server)], env=environment())
    if done.code != 0:
        stop(f"{server.name} did not answer")
    return float(done.out)


@contextlib.contextmanager
def running(network, place, server):
    """The server's process, once it answers."""
    from test_sockets import wait_for_port

    with place.popen(server) as process:
        try:
            wait_for_port(network, place.address, server.port).close()
            yield process
        finally:
            process.kill()


def guest_kib(pid):
    """Resident pages of the guest's RAM."""
    total, counted = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split()[0]:
            counted = SHOAL_RAM in line
        elif counted and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def process_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


def measure(samples):
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as name, places() as (network, where):
        all_servers = servers(pathlib.Path(name))
        for turn in range(RUNS):
            say(f"servers: turn {turn + 1} of {RUNS}")
            for server in all_servers:
                for place_name, place in where.items():
                    samples.add(f"{server.name} to its first answer, {place_name}", start(network, place, server) / 1000, "ms")
            inside = [SHOAL, "run", "--memory", "256", "--with", PYTHON_LIBRARY, "--", PYTHON, "-c", "print(1)"]
            samples.add("python3 -c 'print(1)', shoal", spawn(inside)[0] / 1000, "ms")
            samples.add("python3 -c 'print(1)', host", spawn([PYTHON, "-c", "print(1)"])[0] / 1000, "ms")
        for server in all_servers:
            with running(network, where["shoal"], server) as process:
                samples.add(f"{server.name} idle, guest memory resident", guest_kib(process.pid), "KiB")
            with running(network, where["host"], server) as process:
                samples.add(f"{server.name} idle on the host, resident", process_kib(process.pid), "KiB")
    samples.add("unikernel, what is loaded", image_kib(), "KiB")
    samples.add("unikernel, file without symbols", stripped_kib(), "KiB")


def image_kib():
    sizes = subprocess.run(["size", UNIKERNEL], stdout=subprocess.PIPE, check=True, text=True).stdout
    text, data, _ = map(int, sizes.splitlines()[1].split()[:3])
    return (text + data) / 1024


def stripped_kib():
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "-o", file.name, UNIKERNEL], check=True)
        return os.path.getsize(file.name) / 1024


def targets(samples):
    rows = []
    for name in ("redis", "nginx"):
        shoal, host = (f"{name} to its first answer, {place}" for place in ("shoal", "host"))
        rows.append(Target(f"what the microVM adds to {name}'s first answer, in ms",
                           samples.median(shoal) - samples.median(host), "<=", ADDED_MS, samples.runs(shoal, host)))
    rows.append(Target("size of the unikernel's file without symbols, in MiB",
                       samples.median("unikernel, file without symbols") / 1024, "<=", 1, 1))
    return rows
