"""Disks that take long to flush, under shoald's own store and under etcd."""
import threading
import time

from cluster import Cluster
from daemon import Daemon
from harness import BUSYBOX, Failure, expect, temporary_folder, test
from slow_disk import SlowDisk, why_no_slow_disk


def when_slow_disks(function):
    def guarded():
        if reason := why_no_slow_disk():
            raise Failure(f"no slow disks here: {reason}")
        function()

    return guarded


def slowest_read_while(daemon, request):
    """How long the slowest of many readers waited, in s, and whether the request was answered."""
    answers = []
    asking = threading.Thread(target=lambda: answers.append(request()))
    asking.start()
    slowest = 0
    while asking.is_alive():
        began = time.monotonic()
        expect(daemon.request("GET", "/v1/microvms")[0] == 200, "a reader")
        slowest = max(slowest, time.monotonic() - began)
    return slowest, bool(answers)


@test("slow disk: shoald answers others meanwhile, and has what it said yes to after kill -9")
@when_slow_disks
def _():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        names = [f"m-{number}" for number in range(4)]
        with SlowDisk(daemon.process.pid, 0.5):
            answers = []
            creators = [threading.Thread(target=lambda name=name: answers.append(
                daemon.create(BUSYBOX, "sleep", "1000", name=name, memory_mib=32)["name"])) for name in names]
            for creator in creators:
                creator.start()
            read = 0
            while not answers:  # not before its flush has ended
                expect(daemon.request("GET", "/v1/microvms")[0] == 200, "a reader")
                read += 1
            expect(read > 10, f"{read} readers were answered during a flush: they waited for it")
            for creator in creators:
                creator.join()
            expect(sorted(answers) == names, f"{answers}")
            for method, path, body in (("POST", "/v1/volumes", {"name": "v", "size_mib": 8}), ("DELETE", "/v1/volumes/v", None)):
                slowest, done = slowest_read_while(daemon, lambda m=method, p=path, b=body: daemon.done(m, p, b))
                expect(done and slowest < 0.4, f"a reader waited for {slowest} s while a volume's file was flushed")
            daemon.kill()
        daemon.start()
        for name in names:
            daemon.wait_phase(name, "running")


@test("slow disk: etcd's leader flushes for half a second each time: no host is taken for dead, and microVMs are placed")
@when_slow_disks
def _():
    with temporary_folder() as folder, Cluster(folder, 2, etcd_members=3, etcd_flushes=True) as cluster:
        host = cluster.hosts[0]
        cluster.group("web", 4)
        before = cluster.wait_for_members(host, "web", 4)
        epochs = cluster.epochs()
        leader = cluster.etcd_leader()
        with SlowDisk(cluster.etcd.processes[leader].pid, 0.5):
            cluster.group("more", 20)
            cluster.wait_for_members(host, "more", 20)
        expect(cluster.members(host, "web") == before, "they moved")
        now = cluster.epochs()
        expect(now == epochs, f"{epochs} became {now}")
        cluster.expect_one_at_a_time(before)
