"""Hosts with network namespaces of their own, on one switch: cables that can be pulled, and packets that can be lost."""
import os

from cluster import Cluster, Member
from etcd import Etcd
from harness import expect
from netns import Network

SWITCH = "10.77.0.1"
BITS = 24


class Wire:
    """A host's network namespace, and its cable to the switch."""

    def __init__(self, switch, number):
        self.switch = switch
        self.name = f"wire{number}"
        self.address = f"10.77.0.{10 + number}"
        self.network = Network(taps=0)
        namespace = f"/proc/{os.getpid()}/fd/{self.network.namespace}"
        switch.ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        switch.ip("link", "set", self.name, "master", "switch", "up")
        self.network.ip("address", "add", f"{self.address}/{BITS}", "dev", "eth0")
        self.network.ip("link", "set", "eth0", "up")

    def pull(self):
        self.switch.ip("link", "set", self.name, "down")

    def lose(self, hook):
        """All that comes in (`input`) or goes out (`output`) of this host."""
        end = "iif" if hook == "input" else "oif"
        rules = f"table inet lossy {{ chain {hook} {{ type filter hook {hook} priority 0; {end} eth0 drop; }}; }}"
        result = self.network.run(["nft", "-f", "-"], stdin=rules.encode())
        expect(result.code == 0, f"{result}")

    def mend(self):
        self.switch.ip("link", "set", self.name, "up")
        self.network.run(["nft", "delete", "table", "inet", "lossy"])


class WiredMember(Member):
    """Its shoald talks to etcd over its cable."""

    def __init__(self, folder, name, etcd, wire, *options):
        self.wire = wire
        super().__init__(folder, name, etcd, "--address", wire.address, "--plain-peers", *options,
                         within=wire.network.command([]))

    def reach(self, etcd):
        return etcd.urls()


class WiredCluster(Cluster):
    """A Cluster whose etcd is at the switch."""

    def __init__(self, folder, hosts, **more):
        self.switch = Network(taps=0)
        self.wires = []
        try:
            self.switch.ip("link", "add", "switch", "type", "bridge")
            self.switch.ip("address", "add", f"{SWITCH}/{BITS}", "dev", "switch")
            self.switch.ip("link", "set", "switch", "up")
            super().__init__(folder, hosts, **more)
        except BaseException:
            self.close()
            raise

    def make_etcd(self, members, flushes):
        return Etcd(self.folder, members, SWITCH, self.switch, flushes)

    def make_member(self, name, options):
        self.wires.append(Wire(self.switch, len(self.wires)))
        return WiredMember(self.folder / name, name, self.etcd, self.wires[-1], *options)

    def close(self):
        for wire in self.wires:
            wire.network.close()
        self.switch.close()

    def __exit__(self, *words):
        try:
            super().__exit__(*words)
        finally:
            self.close()
