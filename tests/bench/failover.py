"""What a host's death and a host's drain cost 100 microVMs of a cluster, etcd's leader dying or not."""
import sys
import tempfile
import time

from figures import ROOT, Target
from processes import RUNS, say

sys.path.insert(0, str(ROOT / "tests/system"))
from cluster import PLAIN, WITNESS, Cluster  # noqa: E402

TITLE = "A host's death and its drain"
COUNT = 100
DEADLINE_S = 4
PAUSE_MS = 100  # of each between two words; oftener, a hundred take both CPUs
ROUNDS = max(1, RUNS // 10)
CONDITIONS = (f"local, 3 hosts on one machine, an etcd of 3 members without fsync, {COUNT} microVMs of 32 MiB on the host that dies or is "
              f"drained, each of which says the time every {PAUSE_MS} ms; a drain is live migration without TLS")
DRAINED = "drain: to the last one's answer elsewhere"
STOOD = f"drain: each one's silence, of {PAUSE_MS} ms at rest"
# How a host may die, and what of etcd dies with it.
DEATHS = {
    "death alone": lambda etcd, leader: None,
    "death with etcd's leader": lambda etcd, leader: (etcd.kill(leader), lambda: etcd.start(leader))[1],
    "death while etcd's leader hangs": lambda etcd, leader: (etcd.stop(leader), lambda: etcd.go_on(leader))[1],
}


def decided(death):
    return f"{death}: to the decision"


def answered(death):
    return f"{death}: to the last one's answer elsewhere"


class Hosts:
    """A cluster whose first host only answers; the second has all the microVMs."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.first, self.full, self.third = cluster.hosts

    def schedule(self, host, scheduling):
        self.first.done("PUT", f"/v1/hosts/{host.name}/scheduling", {"scheduling": scheduling})

    def fill(self):
        """All of the group on one host."""
        for host in (self.first, self.third):
            self.schedule(host, "cordoned")
        self.schedule(self.full, "enabled")
        self.cluster.group("web", COUNT, (WITNESS, "alive", str(PAUSE_MS)))
        self.cluster.wait_for_members(self.first, "web", COUNT)
        names = self.first.wait(lambda: self.all_said([self.full], 0), "all to say something")
        for host in (self.first, self.third):
            self.schedule(host, "enabled")
        return names

    def all_said(self, hosts, since_ns):
        """{name: when it first spoke on one of these hosts after a moment}, once all have."""
        said = {}
        for number in range(COUNT):
            moments = [moment for host in hosts for moment in host.ran(f"web-{number}") if moment > since_ns]
            if not moments:
                return None
            said[f"web-{number}"] = min(moments)
        return said

    def empty(self):
        self.first.done("DELETE", "/v1/groups/web")
        self.first.wait(lambda: not self.first.list(), "the microVMs to go")
        for host in self.cluster.hosts:
            for log in (host.state_dir / "logs").glob("web-*"):
                log.unlink(missing_ok=True)

    def elsewhere(self, since_ns):
        return self.first.wait(lambda: self.all_said([self.first, self.third], since_ns), "all to speak elsewhere", 180)


def measure_death(samples, hosts, death):
    etcd, leader = hosts.cluster.etcd, hosts.cluster.etcd_leader()
    hosts.fill()
    died_ns = time.time_ns()
    mend = DEATHS[death](etcd, leader)
    hosts.full.kill_host()
    samples.add(decided(death), hosts.cluster.wait_until_taken(hosts.full) * 1000, "ms")
    said = hosts.elsewhere(died_ns)
    samples.add(answered(death), (max(said.values()) - died_ns) / 1e6, "ms")
    if mend:
        mend()
        etcd.wait()
    hosts.full.start()
    hosts.cluster.wait_for_return(hosts.first, hosts.full)
    hosts.empty()


def measure_drain(samples, hosts):
    hosts.fill()
    began_ns = time.time_ns()
    hosts.schedule(hosts.full, "draining")
    said = hosts.elsewhere(began_ns)
    samples.add(DRAINED, (max(said.values()) - began_ns) / 1e6, "ms")
    for name, moment in said.items():
        samples.add(STOOD, (moment - hosts.full.ran(name)[-1]) / 1e6, "ms")
    hosts.schedule(hosts.full, "enabled")
    hosts.empty()


def measure(samples):
    with tempfile.TemporaryDirectory(prefix="shoal-bench-", dir="/dev/shm") as folder, \
            Cluster(folder, 3, etcd_members=3, options=PLAIN) as cluster:
        hosts = Hosts(cluster)
        for turn in range(ROUNDS):
            say(f"failover: turn {turn + 1} of {ROUNDS}")
            for death in DEATHS:
                measure_death(samples, hosts, death)
            measure_drain(samples, hosts)


def targets(samples):
    rows = []
    for death in DEATHS:
        rows.append(Target(f"{death}: to the decision, slowest in s", samples.percentile_99(decided(death)) / 1000, "<=",
                           DEADLINE_S + 0.5, samples.runs(decided(death))))
        rows.append(Target(f"{death}: to the last of {COUNT}, in s", samples.median(answered(death)) / 1000, "<=",
                           DEADLINE_S + 2, samples.runs(answered(death))))
    return rows
