"""Hosts that die at the moment at which etcd's leader does: when their epochs are taken, and that nobody else is fenced; and
all of etcd gone. What hosts would run is not there: this is about shoald and etcd alone, and needs no KVM."""
import json
import os
import struct
import threading
import time

from cluster import Cluster, kill_member, seeded, stop_member
from harness import TIME_SCALE, expect, temporary_folder, test

DEADLINE_S = 4
BOUND_S = DEADLINE_S + 0.5
# From etcd's own election to the decision, where that takes so long that it is not in time: until the last host is heard
# (store/etcd_client.h) and until that has settled (failover/host_silence.h).
AFTER_ELECTION_S = 1.8
PAUSE_S = 10


class EmptyCluster(Cluster):
    """Hosts that are never asked to run anything."""

    def wait_for_leader(self, through, hosts):
        through.wait(lambda: self.etcd.list("/leader"), "a host to lead")


class Fences:
    """`with Fences(hosts) as fences:` looks at the hosts' deadlines, as their VMMs do: none may pass while its host lives."""

    def __init__(self, hosts):
        self.hosts = list(hosts)
        self.dead = set()
        self.least_ns = {host.name: DEADLINE_S * 10**9 for host in hosts}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def left_ns(self, host):
        with open(host.run_dir / "fence", "rb") as file:
            return struct.unpack("=Q", file.read())[0] - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def look(self):
        while not self.is_over.wait(0.01):
            for host in self.hosts:
                if host.name not in self.dead:
                    self.least_ns[host.name] = min(self.least_ns[host.name], self.left_ns(host))

    def expect_none_passed(self):
        expect(all(left > 0 for left in self.least_ns.values()), f"a living host was fenced; what was left: {self.least_ns}")


def watch_death(cluster, dead, old_leader, begun):
    """Seconds from `begun` until etcd has elected, until its last heartbeat was there, and until the epoch is taken."""
    key, elected, last, heard = f"/heartbeats/{dead.name}", None, None, 0
    while (sequence := json.loads(cluster.etcd.list(key, is_local=True)[key])["sequence"]) != 0:
        if last is not None and sequence > last:
            heard = time.monotonic() - begun
        last = sequence
        expect(time.monotonic() - begun < 60, f"the epoch of {dead.name} is never taken")
        if elected is None and cluster.etcd.leader() not in (None, old_leader):
            elected = time.monotonic() - begun
        time.sleep(0.01)
    return elected, heard, time.monotonic() - begun


def play_death(cluster, fences, dead, hurt_member):
    before = cluster.epochs()
    leader = cluster.etcd_leader()
    fences.dead = {dead.name}
    begun = time.monotonic()
    mend = hurt_member(cluster, leader)
    dead.kill_host()
    elected, heard, decided = watch_death(cluster, dead, leader, begun)
    if hurt_member is stop_member:
        time.sleep(max(0, begun + PAUSE_S - time.monotonic()))
    mend()
    cluster.etcd.wait()
    dead.start()
    other = next(host for host in cluster.hosts if host is not dead)
    other.wait(lambda: other.done("GET", f"/v1/hosts/{dead.name}")["health"] == "alive", "it to come back")
    other.wait(lambda: fences.left_ns(dead) > 0, "its deadline to be set")  # others may hear of it before
    fences.dead = set()
    after = cluster.epochs()
    changed = [name for name in before if before[name] != after[name]]
    expect(changed == [dead.name], f"{before} became {after}")
    fences.expect_none_passed()
    return elected, heard, decided


@test("cluster: a host that dies with etcd's leader, or while that hangs, is taken over in time, and no other is fenced; over TLS",
      needs_kvm=False)
def _():
    rounds = int(os.environ.get("SHOAL_ROUNDS") or 1)
    dice = seeded()
    with temporary_folder() as folder, EmptyCluster(folder, 3, etcd_members=3, etcd_tls=True) as cluster, \
            Fences(cluster.hosts) as fences:
        decisions = []
        for number in range(rounds):
            dead = dice.choice([cluster.hosts[1], cluster.hosts[2], cluster.scheduler()])
            leads = dead is cluster.scheduler()
            hurt_member = dice.choice((kill_member, stop_member))
            time.sleep(dice.uniform(0, 0.5))  # any moment between two heartbeats
            elected, heard, decided = play_death(cluster, fences, dead, hurt_member)
            decisions.append(decided)
            print(f"        {number + 1}: {hurt_member.__name__}, {dead.name}, which {'leads' if leads else 'follows'}: etcd elects after "
                  f"{elected:.2f} s, the decision after {decided:.2f} s" +
                  (f"; its last heartbeat came after {heard:.2f} s" if heard else ""), flush=True)
            bound = max(BOUND_S, elected + AFTER_ELECTION_S) * TIME_SCALE
            expect(decided <= bound, f"{decided:.2f} s, more than {bound:.2f} s")
        least = min(fences.least_ns.values()) / 1e9
        print(f"        {rounds} rounds: decided after {min(decisions):.2f} to {max(decisions):.2f} s; a living host had "
              f"{least:.2f} s left at the least")


@test("cluster: each host has the deadline that it is given, and is taken over when that is over", needs_kvm=False)
def _():
    def options(name):
        return ["--failure-deadline", "2"] if name == "h1" else []
    with temporary_folder() as folder, EmptyCluster(folder, 3, options=options) as cluster, Fences(cluster.hosts) as fences:
        host, dead, epochs = cluster.hosts[0], cluster.host("h1"), cluster.epochs()
        expect(fences.left_ns(dead) < 2e9 < fences.left_ns(host), f"{fences.left_ns(dead)} ns, {fences.left_ns(host)} ns")
        fences.dead = {dead.name}
        dead.kill_host()
        took = cluster.wait_until_taken(dead)
        expect(took <= 2.5 * TIME_SCALE, f"taken over after {took:.2f} s")
        dead.start()
        host.wait(lambda: cluster.all_alive(3), "all hosts to be alive")
        expect([name for name in epochs if epochs[name] != cluster.epochs()[name]] == [dead.name], "another host was taken over")
        fences.expect_none_passed()


@test("cluster: without etcd hosts run on to their deadlines, writes are refused clearly, and all heals by itself", needs_kvm=False)
def _():
    with temporary_folder() as folder, EmptyCluster(folder, 3, etcd_members=3, etcd_tls=True) as cluster, \
            Fences(cluster.hosts) as fences:
        host, epochs = cluster.hosts[0], cluster.epochs()
        network = {"name": "n", "subnet": "10.78.1.0/24"}
        begun = time.monotonic()
        for member in range(3):
            cluster.etcd.kill(member)
        detail = host.refused(503, "POST", "/v1/networks", network)
        expect("no member of etcd answers" in detail or "the connection was lost before etcd answered" in detail, detail)
        expect(len(host.done("GET", "/v1/hosts")["items"]) == 3, "what is known is no longer told")
        for each in cluster.hosts:
            each.wait(lambda each=each: fences.left_ns(each) <= 0, "its deadline to pass")
        took = time.monotonic() - begun
        expect(took > DEADLINE_S - 1.5, f"all had stopped after {took:.2f} s")
        for member in range(3):
            cluster.etcd.start(member)
        cluster.etcd.wait()
        for each in cluster.hosts:
            each.wait(lambda each=each: fences.left_ns(each) > 0, "it to go on")
        host.wait(lambda: cluster.all_alive(3), "all hosts to be alive")
        expect(cluster.epochs() == epochs, f"{epochs} became {cluster.epochs()}")
        host.done("POST", "/v1/networks", network)
        host.done("DELETE", "/v1/networks/n")
