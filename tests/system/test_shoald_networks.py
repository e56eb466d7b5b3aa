"""shoald: networks, in a network namespace of the test's own."""
import contextlib
import os
import pathlib
import subprocess
import sys
import time

from daemon import Daemon
from harness import BUSYBOX, TIME_SCALE, Failure, expect, run, temporary_folder, test
from netns import new_namespace, why_no_network

SERVE = f"while :; do echo hello | {BUSYBOX} nc -l -p 7; done"

# Says who it is to whoever asks.
CLONE = f"{BUSYBOX} cat /dev/clone > /tmp/words; while :; do {BUSYBOX} nc -l -p 7 < /tmp/words; done"

TELL = """
import socket
listener = socket.create_server(('', 7))
print('listens', flush=True)
connection, (address, _) = listener.accept()
connection.sendall(b'from beyond\\n')
connection.close()
print(address, flush=True)
"""


class Namespace:
    """An empty network, for as long as this lives."""

    def __init__(self):
        self.descriptor = new_namespace()
        self.path = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        self.within = ("nsenter", f"--net={self.path}", "--")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def run(self, *words, stdin=b""):
        return run([*self.within, *words], stdin=stdin)

    def done(self, *words):
        result = self.run(*words)
        expect(result.code == 0, f"{words}: {result}")
        return result.out.decode()

    def links(self):
        return sorted(line.split(": ")[1].split("@")[0] for line in self.done("ip", "-o", "link").splitlines())

    def tables(self):
        return self.done("nft", "list", "tables").split()


@contextlib.contextmanager
def host():
    with temporary_folder() as folder, Namespace() as namespace:
        with Daemon(folder, within=namespace.within) as daemon:
            yield namespace, daemon
            expect(daemon.process.poll() is None, "shoald has ended")


def make_networks(daemon, **more):
    for number in (1, 2):
        daemon.done("POST", "/v1/networks", {"name": f"n{number}", "subnet": f"10.77.{number}.0/24", **more})


def start(daemon, name, network, script, **more):
    daemon.create(BUSYBOX, "sh", "-c", script, name=name, network=network, memory_mib=32, **more)


def running(daemon, name):
    return daemon.wait_phase(name, "running")["status"]["address"]


def job(daemon, name, network, script):
    """Exit code and output of a program that ends."""
    start(daemon, name, network, script)
    ended = daemon.wait_phase(name, "succeeded", "failed")["status"]
    return ended["exit_code"], daemon.log(name).decode()


def expect_nothing_left(namespace, daemon):
    for number in (1, 2):
        daemon.done("DELETE", f"/v1/networks/n{number}")
    daemon.wait(lambda: namespace.links() == ["lo"] and not namespace.tables(),
                f"{namespace.links()} and {namespace.tables()} to go", timeout_s=10)


def when_networks(function):
    """There must be a bridge, a TAP and nftables."""

    def guarded():
        if why_no_network() or run(["nft", "--version"]).code != 0:
            raise Failure("no networks here: /dev/net/tun and nft are needed")
        function()

    return guarded


@test("shoald: microVMs of one network reach each other, those of another do not, nor the host")
@when_networks
def isolation():
    with host() as (namespace, daemon):
        make_networks(daemon)
        namespace.done("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")  # else nobody would forward anyway
        start(daemon, "server", "n1", SERVE)
        address = running(daemon, "server")
        expect(address == "10.77.1.2", address)
        daemon.wait(lambda: namespace.run(BUSYBOX, "ping", "-c", "1", "-W", "1", address).code == 0, "an answer to ping")
        # The first one may come before the server listens.
        script = f"for i in 1 2 3 4 5 6 7 8; do {BUSYBOX} nc -w 5 {address} 7 && exit 0; {BUSYBOX} sleep 0.2; done; exit 1"
        code, said = job(daemon, "friend", "n1", script)
        expect((code, said) == (0, "hello\n"), f"a microVM of the same network: {code} {said!r} {daemon.log('server')}")
        code, said = job(daemon, "stranger", "n2", f"{BUSYBOX} nc -w 2 {address} 7")
        expect(code != 0 and "hello" not in said, f"a microVM of another network: {code} {said}")
        listener = subprocess.Popen([*namespace.within, BUSYBOX, "nc", "-l", "-p", "99"], stdin=subprocess.DEVNULL)
        try:
            for number in (1, 2):
                code, _ = job(daemon, f"to-host-{number}", "n1", f"echo x | {BUSYBOX} nc -w 2 10.77.{number}.1 99")
                expect(code != 0, f"a microVM reached the host at 10.77.{number}.1")
        finally:
            listener.kill()
            listener.wait()
        expect("in use by microVM server" in daemon.refused(409, "DELETE", "/v1/networks/n1"), "who uses it")
        for item in daemon.list():
            daemon.done("DELETE", f"/v1/microvms/{item['name']}?grace_s=0")
        daemon.wait(lambda: not daemon.list(), "the microVMs to go")
        expect_nothing_left(namespace, daemon)


@test("shoald: each clone of a template with a network has an address of its own, and keeps it when it is started anew")
@when_networks
def clones():
    def asked(address):
        return namespace.run(BUSYBOX, "nc", "-w", "5", address, "7").out.decode().split("\0")[0]

    with host() as (namespace, daemon):
        make_networks(daemon)
        template = {"program": BUSYBOX, "arguments": ["sh", "-c", CLONE], "memory_mib": 64}
        daemon.done("POST", "/v1/templates", {"name": "t", "network": True, **template})
        daemon.done("POST", "/v1/templates", {"name": "bare", **template})
        expect(namespace.links() == ["lo"], f"what the template was made with is left: {namespace.links()}")
        detail = daemon.refused(422, "POST", "/v1/microvms", {"name": "a", "template": "t"})
        expect("must say which network" in detail, detail)
        detail = daemon.refused(422, "POST", "/v1/microvms", {"name": "a", "template": "bare", "network": "n1"})
        expect("bare has no network device" in detail, detail)
        daemon.done("POST", "/v1/groups", {"name": "g", "count": 3, "microvm": {"template": "t", "network": "n1", "restart": "always"}})
        daemon.done("POST", "/v1/microvms", {"name": "other", "template": "t", "network": "n2", "restart": "always"})
        names = ["g-0", "g-1", "g-2", "other"]
        daemon.wait(lambda: len(daemon.list()) == len(names), "the members")
        addresses = {name: running(daemon, name) for name in names}
        expect(sorted(addresses.values()) == ["10.77.1.2", "10.77.1.3", "10.77.1.4", "10.77.2.2"], f"{addresses}")
        for name, address in addresses.items():
            daemon.wait(lambda address=address, name=name: asked(address) == name, f"{name} to answer at {address}")
        os.kill(next(pid for pid, words in daemon.processes().items() if b"shoal-vmm" in words[0]), 9)
        victim, = daemon.wait(lambda: [name for name in names if daemon.microvm(name)["status"]["restarts"] == 1], "a restart")
        expect(running(daemon, victim) == addresses[victim], f"{victim} has another address")
        daemon.wait(lambda: asked(addresses[victim]) == victim, f"the new {victim} to answer")
        daemon.done("DELETE", "/v1/groups/g")
        daemon.done("DELETE", "/v1/microvms/other?grace_s=0")
        daemon.wait(lambda: not daemon.list(), "the microVMs to go")
        expect_nothing_left(namespace, daemon)


@test("shoald: addresses are unique and outlive kill -9, and what is of nobody is cleaned up by the next shoald")
@when_networks
def kills():
    with host() as (namespace, daemon):
        make_networks(daemon)
        for name in ("a", "b", "c"):
            start(daemon, name, "n1", SERVE)
        daemon.done("POST", "/v1/groups", {"name": "g", "count": 3, "microvm": {
            "program": BUSYBOX, "arguments": ["sleep", "1000"], "network": "n2", "memory_mib": 32}})
        names = ["a", "b", "c", "g-0", "g-1", "g-2"]
        daemon.wait(lambda: len(daemon.list()) == 6, "the members")
        before = {name: running(daemon, name) for name in names}
        expect(sorted(before.values()) == sorted(f"10.77.{net}.{n}" for net in (1, 2) for n in (2, 3, 4)), f"{before}")
        expect(len(namespace.links()) == 1 + 2 + 6, f"{namespace.links()}")
        daemon.kill()
        victim = next(pid for pid, words in daemon.processes().items()
                      if b"shoal-vmm" in words[0] and any(before["b"].encode() in word for word in words))
        os.kill(victim, 9)
        daemon.start()
        daemon.wait_phase("b", "failed")
        daemon.wait(lambda: len(namespace.links()) == 1 + 2 + 5, "the TAP of the dead to go")
        for name in names:
            if name != "b":
                expect(running(daemon, name) == before[name], f"{name} has another address")
        ping = ("ping", "-c", "1", "-W", "2", before["a"])
        expect(namespace.run(BUSYBOX, *ping).code == 0, "an adopted microVM does not answer")
        for name in ("a", "b"):
            daemon.done("DELETE", f"/v1/microvms/{name}?grace_s=0")
            daemon.wait_gone(name)
        daemon.wait(lambda: daemon.done("GET", "/v1/networks/n1")["addresses"] == 1, "the addresses to be given back")
        start(daemon, "d", "n1", SERVE)
        expect(running(daemon, "d") == before["a"], "the lowest free address")
        daemon.done("DELETE", "/v1/groups/g")
        for name in ("c", "d"):
            daemon.done("DELETE", f"/v1/microvms/{name}?grace_s=0")
        daemon.wait(lambda: not daemon.list(), "the microVMs to go")
        daemon.kill()
        daemon.start()
        expect_nothing_left(namespace, daemon)


@test("shoald: a network with NAT reaches beyond its host under the host's address")
@when_networks
def nat():
    with host() as (namespace, daemon), Namespace() as beyond:
        namespace.done("ip", "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", beyond.path)
        for side, link, address in ((namespace, "out", "192.0.2.1/24"), (beyond, "in", "192.0.2.2/24")):
            side.done("ip", "address", "add", address, "dev", link)
            side.done("ip", "link", "set", link, "up")
        server = subprocess.Popen([*beyond.within, sys.executable, "-c", TELL], stdout=subprocess.PIPE)
        try:
            expect(server.stdout.readline() == b"listens\n", "the server has ended")
            daemon.done("POST", "/v1/networks", {"name": "n1", "subnet": "10.77.1.0/24"})
            daemon.done("POST", "/v1/networks", {"name": "n2", "subnet": "10.77.2.0/24", "nat": True})
            code, said = job(daemon, "closed", "n1", f"{BUSYBOX} nc -w 2 192.0.2.2 7")
            expect(code != 0 and said.count("beyond") == 0, f"without NAT: {code} {said}")
            code, said = job(daemon, "open", "n2", f"{BUSYBOX} nc -w 5 192.0.2.2 7")
            expect((code, said) == (0, "from beyond\n"), f"with NAT: {code} {said}")
            expect(server.stdout.read() == b"192.0.2.1\n", "who came")
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


@test("shoald: what is wrong with a network is said")
@when_networks
def refused():
    with host() as (_, daemon):
        make_networks(daemon)
        cases = [
            (400, "POST", "/v1/networks", {"name": "x", "subnet": "10.77.3.1/24"}, "10.88.0.0/24"),
            (409, "POST", "/v1/networks", {"name": "x", "subnet": "10.77.0.0/16"}, "overlaps with network n1"),
            (409, "POST", "/v1/networks", {"name": "n1", "subnet": "10.78.0.0/16"}, "already"),
            (422, "PUT", "/v1/networks/n1", {"name": "n1", "subnet": "10.77.1.0/24", "nat": True}, "changed"),
            (422, "POST", "/v1/microvms", {"program": BUSYBOX, "network": "x"}, "no network x"),
            (404, "DELETE", "/v1/networks/x", None, "no network x"),
        ]
        for status, method, path, body, piece in cases:
            detail = daemon.refused(status, method, path, body)
            expect(piece in detail, f"{piece!r} is not in {detail!r}")
        daemon.done("POST", "/v1/networks", {"name": "small", "subnet": "10.79.0.0/30"})
        start(daemon, "one", "small", f"exec {BUSYBOX} sleep 1000")
        expect(running(daemon, "one") == "10.79.0.2", "the only address")
        start(daemon, "two", "small", f"exec {BUSYBOX} sleep 1000")
        daemon.wait(lambda: "given out" in daemon.microvm("two")["status"]["reason"], "the reason")
        daemon.done("DELETE", "/v1/microvms/one?grace_s=0")
        expect(running(daemon, "two") == "10.79.0.2", "the address of one")


@test("shoald: while nft hangs requests are answered, who waits for it says so, and it goes with shoald", needs_kvm=False)
@when_networks
def hanging_nft():
    with temporary_folder() as folder, Namespace() as namespace:
        programs = pathlib.Path(folder) / "bin"
        programs.mkdir()
        pids = programs / "pids"
        (programs / "nft").write_text(f"#!/bin/sh\necho $$ >> {pids}\nexec {BUSYBOX} sleep 1000\n")
        (programs / "nft").chmod(0o700)
        with Daemon(folder, within=(*namespace.within, "env", f"PATH={programs}:{os.environ['PATH']}")) as daemon:
            make_networks(daemon)
            start(daemon, "a", "n1", SERVE)
            start(daemon, "b", "n2", SERVE)
            slowest = 0

            def is_told():
                nonlocal slowest
                asked = time.monotonic()
                reasons = [item["status"]["reason"] for item in daemon.list()]
                slowest = max(slowest, time.monotonic() - asked)
                return all("nft is setting the rules" in reason for reason in reasons)

            daemon.wait(is_told, "the reason why they do not start")
            expect(slowest < TIME_SCALE, f"a request took {slowest:.1f} s")
            expect(len(namespace.links()) == 2, f"more than lo and a bridge before there are rules: {namespace.links()}")
            expect(len(pids.read_text().split()) == 1, f"more than one nft: {pids.read_text()}")
        pid, = pids.read_text().split()
        expect(not os.path.exists(f"/proc/{pid}"), "nft is left over")
