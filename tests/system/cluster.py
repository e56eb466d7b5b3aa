"""Several shoalds on one etcd, each with folders and, if asked for, a network namespace of its own."""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import time

from certificates import make_authority, make_certificate
from daemon import Daemon
from etcd import Etcd
from harness import PROGRAMS, expect, reap
from link import Link

WITNESS = str(PROGRAMS / "witness")
RUNNING = "running"
PLAIN = ("--address", "127.0.0.1", "--peer-port", "0", "--plain-peers")


def seeded():
    """What a test does at random, which SEED=N repeats."""
    seed = int(os.environ.get("SEED") or time.time_ns() % 1_000_000)
    print(f"        SEED={seed}")
    return random.Random(seed)


def kill_member(cluster, member):
    """What mends it."""
    cluster.etcd.kill(member)
    return lambda: cluster.etcd.start(member)


def stop_member(cluster, member):
    cluster.etcd.stop(member)
    return lambda: cluster.etcd.go_on(member)


def with_certificates(folder, authority_of=lambda name: "ca"):
    """Options of hosts whose certificates name them."""
    for authority in ("ca", "other"):
        make_authority(folder, authority)

    def options(name):
        files = make_certificate(folder, authority_of(name), name, f"DNS:{name}")
        return ["--address", "127.0.0.1", "--peer-port", "0", "--peer-cert", files["certificate_path"], "--peer-key", files["key_path"],
                "--peer-ca", files["authority_path"]]

    return options


class Member(Daemon):
    """A host of a cluster. Its end is the cluster's business."""

    def __init__(self, folder, name, etcd, *options, within=()):
        self.name = name
        self.links = []
        urls = [word for url in self.reach(etcd) for word in ("--etcd", url)]
        super().__init__(folder, "--host", name, *urls, *etcd.client_options(), *options, within=within)

    def reach(self, etcd):
        """How it gets to etcd: by cables that tests can pull."""
        self.links = [Link(port) for port in etcd.ports]
        return [etcd.url(link.port) for link in self.links]

    def set_cable(self, state):
        for link in self.links:
            link.set(state)

    def kill_host(self):
        """As a host that loses its power: shoald and all that it runs, at once."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        while victims := self.processes():  # what it started last may not have been there when they were listed
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in victims:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def ran(self, microvm):
        """When a witness of this name said something here, in ns, in order."""
        try:
            text = (self.state_dir / "logs" / f"{microvm}.log").read_bytes()
        except FileNotFoundError:
            return []
        return [int(number) for number in re.findall(rb"^[a-z]+ (\d+)\r?$", text[:text.rfind(b"\n") + 1], re.M)]


class Cluster:
    """`with Cluster(folder, 3) as cluster:` at the end everything is deleted, and nothing may be left."""

    def __init__(self, folder, hosts, etcd_members=1, options=(), etcd_flushes=False, etcd_tls=False):
        """`options` of each shoald; a function: by the host's name."""
        self.folder = pathlib.Path(folder)
        self.options = options
        self.etcd_tls = etcd_tls
        self.etcd = self.make_etcd(etcd_members, etcd_flushes)
        self.hosts = []
        try:
            for number in range(hosts):
                self.add(f"h{number}")
            first = self.hosts[0]
            first.wait(lambda: self.all_alive(hosts), "all hosts to be alive")
            self.wait_for_leader(first, hosts)
        except BaseException:
            self.kill_all()
            raise

    def wait_for_leader(self, through, hosts):
        """Until whoever leads places on every host: before, all would come to those that it knows."""
        self.group("everywhere", hosts, anti_affinity="host")
        self.wait_for_members(through, "everywhere", hosts)
        through.done("DELETE", "/v1/groups/everywhere")
        through.wait(lambda: not through.list(), "the first microVMs to go")

    def etcd_leader(self):
        """Which member of etcd leads, once one does."""
        return self.hosts[0].wait(lambda: (found := self.etcd.leader()) is not None and [found], "a leader of etcd")[0]

    def wait_until_taken(self, host):
        """Until the leader has taken a silent host's epoch: seconds from now."""
        begun = time.monotonic()
        key = f"/heartbeats/{host.name}"
        while json.loads(self.etcd.list(key, is_local=True)[key])["sequence"] != 0:
            expect(time.monotonic() - begun < 60, f"the epoch of {host.name} is never taken")
            time.sleep(0.01)
        return time.monotonic() - begun

    def scheduler(self):
        """The host that leads."""
        return self.host(json.loads(self.etcd.list("/leader")["/leader"])["host"])

    def epochs(self):
        return {item["name"]: item["epoch"] for item in self.hosts[0].done("GET", "/v1/hosts")["items"]}

    def all_alive(self, count):
        hosts = self.hosts[0].done("GET", "/v1/hosts")["items"]
        return len(hosts) == count and all(host["health"] == "alive" and host["epoch"] > 0 for host in hosts)

    def add(self, name, *options):
        own = self.options(name) if callable(self.options) else self.options
        self.hosts.append(self.make_member(name, [*own, *options]))
        return self.hosts[-1]

    def make_etcd(self, members, flushes):
        return Etcd(self.folder, members, flushes=flushes, tls=self.etcd_tls)

    def make_member(self, name, options):
        return Member(self.folder / name, name, self.etcd, *options)

    def host(self, name):
        return next(host for host in self.hosts if host.name == name)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.delete_all()
        finally:
            self.kill_all()
            left = [group for host in self.hosts for group in host.cgroups()]
        if kind is None:
            expect(not left, f"control groups were left behind: {left}")

    def delete_all(self):
        host = self.hosts[0]
        for group in host.done("GET", "/v1/groups")["items"]:
            host.request("DELETE", f"/v1/groups/{group['name']}")
        host.wait(host.delete_page, "the microVMs to go")
        for each in self.hosts:
            expect(not each.run_folders(), f"{each.name} has run folders left: {each.run_folders()}")
        # Each host says by itself that a template's files are gone.
        host.wait(lambda: not self.etcd.list("/copies/"), "the records of templates' files to go")
        left = [key for key in self.etcd.list("/") if key.split("/")[1] not in ("hosts", "heartbeats", "drains", "leader", "join-tokens")]
        expect(not left, f"the store has left: {left}")
        for each in self.hosts:
            each.process.terminate()
            expect(each.process.wait() == 0, f"{each.name} ended badly: {each.process.stderr.read()!r}")

    def kill_all(self):
        for host in self.hosts:
            if host.process.poll() is None:
                host.kill_host()
        for host in self.hosts:
            for link in host.links:
                link.close()
        self.etcd.__exit__()
        reap()

    def group(self, name, count, program=(WITNESS,), **more):
        """Wants a group of witnesses."""
        spec = {"program": program[0], "arguments": list(program[1:]), "memory_mib": 32, "restart": "never",
                **more.pop("microvm", {})}
        self.hosts[0].done("POST", "/v1/groups", {"name": name, "count": count, "microvm": spec,
                                                  "spreading": "spread", **more})

    def members(self, through, group):
        """{name: host} of those that run, as `through` sees it."""
        page = through.done("GET", f"/v1/microvms?group={group}")["items"]
        return {item["name"]: item["status"]["host"] for item in page
                if item["status"]["phase"] == RUNNING and not item["deletion"]}

    def wait_for_members(self, through, group, count, but=(), timeout_s=60):
        """Until so many run, none on the hosts `but`."""
        def ready():
            members = self.members(through, group)
            return members if len(members) == count and not set(members.values()) & set(but) else None

        return through.wait(ready, f"{count} of {group} to run, none on {but}", timeout_s)

    def busiest_but_first(self, members):
        """The host with most of them; not the one that tests ask."""
        return max(self.hosts[1:], key=lambda host: list(members.values()).count(host.name))

    def wait_for_return(self, through, host):
        """Until a host that was away is back, and what it had is stopped."""
        through.wait(lambda: through.done("GET", f"/v1/hosts/{host.name}")["health"] == "alive", "it to come back")
        through.wait(lambda: not host.run_folders(), "what it had to be stopped")

    def expect_one_at_a_time(self, names):
        """No two copies of a microVM ran at the same time. A witness waits 20 ms after each word, also across a move;
        of two copies, each would speak within 10 ms of the other sooner or later."""
        for name in names:
            said = sorted((moment, host.name) for host in self.hosts for moment in host.ran(name))
            for (before, one), (after, other) in zip(said, said[1:]):
                expect(one == other or after - before > 11_000_000, f"{name} ran on {one} at {before}, on {other} at {after}")
