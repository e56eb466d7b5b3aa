"""Three hosts, 30 microVMs that answer; one host is drained, one is killed. See README.md."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from service import Service

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = pathlib.Path("/run")
HOSTS = ("h1", "h2", "h3")
MEMBERS = 30
REQUESTS_PER_SECOND = 10  # to each microVM
GATEWAY = "10.77.0.1"
BEGUN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGUN:7.2f} s  {text}", flush=True)


def command(*words):
    subprocess.run([str(word) for word in words], check=True)


def make_network():
    """A switch, and a namespace with a cable for each host."""
    command("ip", "link", "set", "lo", "up")
    command("ip", "link", "add", "switch", "type", "bridge")
    command("ip", "address", "add", f"{GATEWAY}/24", "dev", "switch")
    command("ip", "link", "set", "switch", "up")
    for number, host in enumerate(HOSTS):
        command("ip", "netns", "add", host)
        command("ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", host)
        command("ip", "link", "set", host, "master", "switch", "up")
        command("ip", "-n", host, "address", "add", f"10.77.0.{10 + number}/24", "dev", "eth0")
        command("ip", "-n", host, "link", "set", "eth0", "up")
        command("ip", "-n", host, "link", "set", "lo", "up")


def start(words, log, host=None):
    """A process, in a host's namespace if there is one; it says what it has to say in a file."""
    inside = ["nsenter", f"--net=/run/netns/{host}"] if host else []
    with open(RUN / f"{log}.log", "ab") as file:
        return subprocess.Popen([*inside, *(str(word) for word in words)], stdin=subprocess.DEVNULL, stdout=file,
                                stderr=file, start_new_session=True)


def start_etcd():
    members = {f"m{number}": (f"http://{GATEWAY}:{2379 + 2 * number}", f"http://{GATEWAY}:{2380 + 2 * number}")
               for number in range(3)}
    cluster = ",".join(f"{name}={peer}" for name, (_, peer) in members.items())
    for name, (client, peer) in members.items():
        start(["etcd", "--name", name, "--data-dir", RUN / name, "--listen-client-urls", client,
               "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
               "--initial-cluster", cluster, "--log-level", "warn",
               # As README.md says, of members that are near each other.
               "--heartbeat-interval", "50", "--election-timeout", "500"], name)
    return [client for client, _ in members.values()]


class Host:
    def __init__(self, number, name, etcd):
        self.name = name
        self.socket = RUN / name / "shoald.socket"
        endpoints = [word for url in etcd for word in ("--etcd", url)]
        self.process = start([ROOT / "build/shoald", "--host", name, "--run-dir", RUN / name, "--state-dir",
                              RUN / name / "state", *endpoints, "--address", f"10.77.0.{10 + number}", "--plain-peers",
                              "--cgroup-mount", RUN / "none"],  # control groups would outlive the namespaces
                             name, host=name)

    def kill(self):
        """kill -9 of everything in its namespace: shoald, supervisors, microVMs."""
        inode = os.stat(f"/run/netns/{self.name}").st_ino
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.stat(process / "ns/net").st_ino == inode:
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()


class Shoal:
    """The command line, asking one host's shoald."""

    def __init__(self, host):
        self.socket = host.socket

    def run(self, *words, stdin=None):
        return subprocess.run([ROOT / "build/shoal", *words, "--socket", self.socket], input=stdin, text=True,
                              capture_output=True, check=False)

    def get(self, kind):
        answer = self.run("get", kind, "-o", "json")
        return json.loads(answer.stdout) if answer.returncode == 0 else None


def fail(sentence):
    for log in sorted(RUN.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines()[-5:]:
            print(f"{log.stem}: {line}", file=sys.stderr)
    sys.exit(f"make demo: {sentence}")


def wait_for(what, is_done, timeout_s=90):
    deadline = time.monotonic() + timeout_s
    while not (value := is_done()):
        if time.monotonic() > deadline:
            fail(f"waited in vain for {what}")
        time.sleep(0.02)
    return value


class Directory(threading.Thread):
    """Tells the clients where each microVM is, and says how they lie."""

    def __init__(self, shoal, service):
        super().__init__(daemon=True)
        self.shoal = shoal
        self.service = service
        self.where = {}

    def run(self):
        while True:
            self.look()
            time.sleep(0.03)

    def look(self):
        for item in self.shoal.get("microvms") or []:
            client = self.service.clients.get(item["name"])
            status = item["status"]
            if client is not None and status["phase"] == "running":
                client.path = status["vsock"]
                self.where[item["name"]] = status["host"]

    def layout(self):
        hosts = list(self.where.values())
        return "  ".join(f"{host} {'#' * hosts.count(host)}{hosts.count(host):3d}" for host in HOSTS)


class Reporter(threading.Thread):
    """A line whenever something has changed, and every two seconds."""

    def __init__(self, directory, service):
        super().__init__(daemon=True)
        self.directory = directory
        self.service = service
        self.told = None
        self.told_at = 0

    def run(self):
        while True:
            self.report()
            time.sleep(0.1)

    def report(self):
        layout = self.directory.layout()
        now = time.monotonic()
        if layout == self.told and now - self.told_at < 2:
            return
        self.told, self.told_at = layout, now
        say(f"{layout}   {self.service.answering_since(now - 1):2d} answer, "
            f"{self.service.total('requests')} requests, {self.service.total('failed')} failed")


def main():
    make_network()
    say("three hosts in network namespaces, an etcd of three members")
    etcd = start_etcd()
    hosts = [Host(number, name, etcd) for number, name in enumerate(HOSTS)]
    shoal = Shoal(hosts[0])
    wait_for("the hosts", lambda: len([host for host in shoal.get("hosts") or [] if host["health"] == "alive"
                                       and host["epoch"] > 0]) == len(HOSTS))
    print(shoal.run("get", "hosts").stdout, end="")

    group = {"kind": "group", "spec": {"name": "web", "count": MEMBERS, "spreading": "spread", "microvm": {
        "program": str(ROOT / "build/cluster/answer"), "memory_mib": 32, "vsock": True}}}
    begun = time.monotonic()
    say(shoal.run("apply", "-f", "-", stdin=json.dumps(group)).stdout.strip())
    wait_for("the group", lambda: sum(item["status"]["phase"] == "running" for item in shoal.get("microvms") or []) == MEMBERS)
    say(f"{MEMBERS} microVMs run, {1000 * (time.monotonic() - begun):.0f} ms after they were asked for")

    service = Service([f"web-{number}" for number in range(MEMBERS)], REQUESTS_PER_SECOND)
    directory = Directory(shoal, service)
    directory.start()
    Reporter(directory, service).start()
    begun = time.monotonic()
    wait_for("all to answer", lambda: service.answering_since(begun) == MEMBERS)
    settled = time.monotonic()
    requests, failed = service.total("requests"), service.total("failed")
    service.forget_gaps()
    wait_for("some load", lambda: time.monotonic() - settled > 3)
    say(f"all {MEMBERS} answer; longest gap {1000 * service.longest_gap_s():.0f} ms")

    drained = hosts[1].name
    say(f"shoal drain {drained}")
    begun = time.monotonic()
    answer = shoal.run("drain", drained)
    drain_ms = 1000 * (time.monotonic() - begun)
    for line in answer.stdout.splitlines():
        say(f"    {line}")
    if answer.returncode != 0:
        fail(answer.stderr)
    after = time.monotonic()
    wait_for("all to answer", lambda: service.answering_since(after) == MEMBERS)
    drain_gap = service.longest_gap_s()
    say(f"drained in {drain_ms:.0f} ms; the longest time without an answer of one microVM: {1000 * drain_gap:.0f} ms, "
        f"{service.total('failed') - failed} requests failed; "
        f"{sum(client.starts > 1 for client in service.clients.values())} lost their memory")
    say(shoal.run("uncordon", drained).stdout.strip())

    killed = hosts[2]
    say(f"kill -9 of all processes of {killed.name}")
    begun = time.monotonic()
    killed.kill()
    wait_for("all to answer again", lambda: service.answering_since(begun + 0.5) == MEMBERS)
    failover_ms = 1000 * (time.monotonic() - begun)
    say(f"all {MEMBERS} answer again {failover_ms:.0f} ms after the host died")
    rest = time.monotonic()
    wait_for("some more load", lambda: time.monotonic() - rest > 2)
    service.stop()
    print(shoal.run("get", "hosts").stdout, end="")
    print(json.dumps({"requests": service.total("requests") - requests, "failed": service.total("failed") - failed,
                      "longest_gap_ms": round(1000 * service.longest_gap_s()), "drain_ms": round(drain_ms),
                      "failover_ms": round(failover_ms)}), flush=True)


main()
