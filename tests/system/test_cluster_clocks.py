"""Hosts whose wall clock jumps: nothing that decides who runs what may look at it."""
import datetime
import json
import os
import pathlib
import signal
import time

from cluster import Cluster, Member
from harness import BUSYBOX, ROOT, expect, run, temporary_folder, test

DAY = 86400


class Clock:
    """The wall clock of the processes that are started by `within`."""

    def __init__(self, folder):
        self.file = folder / "clock"
        library = folder / "wall_clock.so"
        built = run(["cc", "-shared", "-fPIC", "-O1", "-o", library, ROOT / "tests/system/wall_clock.c"])
        expect(built.code == 0, f"{built}")
        self.set_ahead(0)
        self.within = ("env", f"LD_PRELOAD={library}", f"SHOAL_TEST_CLOCK={self.file}")

    def set_ahead(self, seconds):
        partial = self.file.with_suffix(".new")
        partial.write_text(str(seconds))
        partial.rename(self.file)


class JumpyCluster(Cluster):
    """Of its hosts h1 has a clock of its own."""

    def make_member(self, name, options):
        if name != "h1":
            return super().make_member(name, options)
        self.clock = Clock(self.folder)
        return Member(self.folder / name, name, self.etcd, *options, within=self.clock.within)


def ended_at(runs, asked, name):
    """When shoald itself says that a microVM ended, or a test of its clock would show nothing."""
    asked.create(BUSYBOX, "sleep", "1000", name=name, memory_mib=32, restart="never")
    asked.wait_phase(name, "running")
    for pid in runs.processes():
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"shoal-supervisor" in words and f"{name}@".encode() in words:
            os.kill(pid, signal.SIGKILL)
    status = asked.wait_phase(name, "failed")["status"]
    expect("its supervisor was killed" in status["reason"], f"{status}")
    return datetime.datetime.fromisoformat(status["ended_at"].replace("Z", "+00:00")).timestamp()


@test("cluster: a host whose wall clock jumps by a day, forwards and backwards, is neither fenced nor taken for dead")
def _():
    with temporary_folder() as folder, JumpyCluster(folder, 2) as cluster:
        host = cluster.hosts[0]
        cluster.group("web", 4)
        before = cluster.wait_for_members(host, "web", 4)
        expect("h1" in before.values(), f"{before}")
        epochs = cluster.epochs()
        host.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})

        def beats():
            return json.loads(cluster.etcd.list("/heartbeats/")["/heartbeats/h1"])["sequence"]

        for number, ahead_s in enumerate((DAY, -DAY, 0)):
            cluster.clock.set_ahead(ahead_s)
            ended = ended_at(cluster.hosts[1], host, f"job-{number}")
            expect(abs(ended - time.time() - ahead_s) < 600, f"{ahead_s} s ahead, but it ended at {ended}")
            seen = beats()
            host.wait(lambda seen=seen: beats() >= seen + 12, "more beats than its deadline has")
            expect(cluster.all_alive(2) and cluster.epochs() == epochs, f"{epochs} became {cluster.epochs()}")
            expect(cluster.members(host, "web") == before, "they moved")
        cluster.expect_one_at_a_time(before)
        for name, where in before.items():
            ran = cluster.host(where).ran(name)
            longest = max(b - a for a, b in zip(ran, ran[1:]))
            print(f"        {name} on {where}: its longest silence {longest / 1e6:.0f} ms")
            expect(longest < 4_000_000_000, f"{name} stood still, as if its host were fenced")
