"""shoald on several hosts: placement, hosts that die, hang and come back. Real microVMs, a real etcd."""
import json
import os
import pathlib
import signal
import time

from cluster import PLAIN, Cluster, Member, kill_member, seeded, stop_member, with_certificates
from harness import BUSYBOX, ROOT, expect, run, temporary_folder, test
from link import NO_ANSWERS, PULLED, UP
from test_shoald_templates import clone, make


@test("cluster: a group is spread over three hosts, and any of them answers for all")
def _():
    with temporary_folder() as folder, Cluster(folder, 3) as cluster:
        cluster.group("web", 6)
        members = cluster.wait_for_members(cluster.hosts[2], "web", 6)
        by_host = sorted(list(members.values()).count(host.name) for host in cluster.hosts)
        expect(by_host == [2, 2, 2], f"{members}")
        for name, where in members.items():
            for host in cluster.hosts:
                status, answer = host.request("GET", f"/v1/microvms/{name}/logs")
                expect(status == (200 if host.name == where else 421), f"{name} on {where}, asked {host.name}: {answer}")
        for host in cluster.hosts:
            expect(len(host.run_folders()) == 2, f"{host.name}: {host.run_folders()}")
            used = host.done("GET", f"/v1/hosts/{host.name}")["used"]
            expect(used == {"memory_mib": 64, "vcpu_millis": 2000, "microvms": 2}, f"{used}")
        cluster.hosts[1].done("DELETE", "/v1/microvms/web-3?grace_s=0")
        cluster.wait_for_members(cluster.hosts[0], "web", 6)


@test("cluster: a second host of a name ends and says why, and the first goes on")
def _():
    with temporary_folder() as folder, Cluster(folder, 2) as cluster:
        cluster.group("web", 2)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 2)
        etcd = [word for url in cluster.etcd.urls() for word in ("--etcd", url)]
        second = run([ROOT / "build/shoald", "--host", "h1", "--run-dir", f"{folder}/second", "--state-dir",
                      f"{folder}/second/state", *etcd])
        expect(second.code == 1 and b"there is a host h1 in the cluster already" in second.err, f"{second}")
        expect(cluster.all_alive(2) and cluster.members(cluster.hosts[0], "web") == before, "the first is disturbed")


@test("cluster: a cordoned host takes no more, and what fits nowhere says why by hosts")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=("--memory-overcommit", "1")) as cluster:
        host = cluster.hosts[0]
        host.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
        cluster.group("web", 4)
        expect(set(cluster.wait_for_members(host, "web", 4).values()) == {"h0"}, "something is on a cordoned host")
        host.create("/bin/true", name="huge", memory_mib=4 << 20)
        reason = host.wait(lambda: host.microvm("huge")["status"]["reason"], "the reason")
        expect(reason == "2 hosts: 1 cordoned, 1 too little memory", reason)
        host.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "enabled"})
        cluster.hosts[1].create("/bin/true", name="small", memory_mib=32)


@test("cluster: a group's member comes back to the host that has its volume, and the volumes go with the group")
def _():
    with temporary_folder() as folder, Cluster(folder, 2) as cluster:
        host, other = cluster.hosts
        host.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
        cluster.group("db", 1, volumes=[{"name": "data", "size_mib": 1}])
        cluster.group("busy", 3)
        cluster.wait_for_members(host, "busy", 3)
        cluster.wait_for_members(host, "db", 1)
        host.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "enabled"})
        before = host.microvm("db-0")["created"]
        host.done("DELETE", "/v1/microvms/db-0?grace_s=0")
        host.wait(lambda: host.request("GET", "/v1/microvms/db-0")[1].get("created", before) != before, "another db-0")
        expect(cluster.wait_for_members(host, "db", 1) == {"db-0": "h0"}, "it left its volume")
        spec = host.done("GET", "/v1/groups/db")["spec"]
        host.done("PUT", "/v1/groups/db", {**spec, "count": 2})
        expect(cluster.wait_for_members(host, "db", 2) == {"db-0": "h0", "db-1": "h1"}, "the new one")
        volumes = {item["name"]: item["spec"]["host"] for item in other.done("GET", "/v1/volumes")["items"]}
        expect(volumes == {"db-0-data": "h0", "db-1-data": "h1"}, f"{volumes}")
        other.done("DELETE", "/v1/groups/db")
        host.wait(lambda: not cluster.etcd.list("/volumes/"), "the volumes to go")
        for each in cluster.hosts:
            each.wait(lambda each=each: not os.listdir(each.state_dir / "volumes"), "their files to go")


class Pressed(Cluster):
    """Each host's shoald reads a /proc/meminfo that the test writes."""

    def set_available(self, name, mib):
        (self.folder / f"{name}.meminfo").write_text(f"MemAvailable: {mib << 10:12} kB\n")

    def make_member(self, name, options):
        self.set_available(name, 4096)
        mount = f"mount --bind {self.folder}/{name}.meminfo /proc/meminfo && exec \"$@\""
        return Member(self.folder / name, name, self.etcd, *options, within=("unshare", "--mount", "sh", "-c", mount, "sh"))

    def pressure(self, name):
        return self.hosts[0].done("GET", f"/v1/hosts/{name}")["spec"]["memory_pressure"]


@test("cluster: a host under memory pressure takes no more until that is over, and the kernel takes microVMs before shoald")
def _():
    with temporary_folder() as folder, Pressed(folder, 2, options=("--memory-overcommit", "1", "--reserved-memory", "512")) as cluster:
        host = cluster.hosts[0]
        cluster.set_available("h1", 511)
        why = host.wait(lambda: cluster.pressure("h1"), "the pressure to be told")
        expect(why == "the host has less than 512 MiB available, which are reserved" and not cluster.pressure("h0"), why)
        cluster.group("web", 4)
        expect(set(cluster.wait_for_members(host, "web", 4).values()) == {"h0"}, "something is on the host under pressure")
        host.create("/bin/true", name="huge", memory_mib=4 << 20)
        reason = host.wait(lambda: host.microvm("huge")["status"]["reason"], "the reason")
        expect(reason == "2 hosts: 1 under memory pressure, 1 too little memory", reason)
        host.done("DELETE", "/v1/microvms/huge")

        def score(pid):
            return int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text())

        scores = {b"shoald": {score(host.process.pid)}}
        for pid, words in host.processes().items():
            scores.setdefault(os.path.basename(words[0]), set()).add(score(pid))
        first, last = scores.pop(b"shoal-vmm"), set.union(*scores.values())
        expect(first == {100} and max(last) < 100 and len(scores) == 2, f"{scores} {first}")
        cluster.set_available("h1", 4096)
        host.wait(lambda: not cluster.pressure("h1"), "the pressure to be over")
        cluster.group("more", 2)
        expect("h1" in cluster.wait_for_members(host, "more", 2).values(), "h1 takes nothing")


@test("cluster: what ran on a host that dies runs elsewhere, and the host comes back clean")
def _():
    with temporary_folder() as folder, Cluster(folder, 3) as cluster:
        cluster.group("web", 6)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        dead, other = cluster.busiest_but_first(before), cluster.hosts[0]
        expect(dead.name in before.values(), f"{before}")
        dead.kill_host()
        begun = time.monotonic()
        cluster.wait_for_members(other, "web", 6, but=[dead.name], timeout_s=30)
        print(f"        from its death to all running elsewhere: {time.monotonic() - begun:.2f} s")
        expect(other.done("GET", f"/v1/hosts/{dead.name}")["health"] == "lost", "its health")
        cluster.expect_one_at_a_time(before)
        dead.start()
        cluster.wait_for_return(other, dead)
        expect(len(cluster.members(other, "web")) == 6, "the group")


@test("cluster: the host that leads may die like any other")
def _():
    with temporary_folder() as folder, Cluster(folder, 3) as cluster:
        cluster.group("web", 6)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        leader = cluster.scheduler()
        other = next(host for host in cluster.hosts if host is not leader)
        expect(leader.name in before.values(), f"{before}")
        leader.kill_host()
        begun = time.monotonic()
        cluster.wait_for_members(other, "web", 6, but=[leader.name], timeout_s=30)
        print(f"        from its death to all running elsewhere: {time.monotonic() - begun:.2f} s")
        cluster.expect_one_at_a_time(before)
        leader.start()
        other.wait(lambda: not leader.run_folders(), "what it had to be cleaned up")


@test("cluster: a shoald that hangs does not keep its microVMs from being fenced, nor do they run twice")
def _():
    with temporary_folder() as folder, Cluster(folder, 3) as cluster:
        cluster.group("web", 6)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        hung, other = cluster.busiest_but_first(before), cluster.hosts[0]
        expect(hung.name in before.values(), f"{before}")
        os.kill(hung.process.pid, signal.SIGSTOP)
        now = cluster.wait_for_members(other, "web", 6, but=[hung.name], timeout_s=30)
        other.wait(lambda: all(cluster.host(where).ran(name) for name, where in now.items()), "all to say something")
        os.kill(hung.process.pid, signal.SIGCONT)
        cluster.wait_for_return(other, hung)
        cluster.wait_for_members(other, "web", 6)
        cluster.expect_one_at_a_time(before)


@test("cluster: a group without state is whole again on suspicion, before the silent host is taken for lost")
def _():
    with temporary_folder() as folder, Cluster(folder, 3) as cluster:
        cluster.group("web", 6, on_suspicion="replace")
        before = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        hung, other = cluster.busiest_but_first(before), cluster.hosts[0]
        lost = list(before.values()).count(hung.name)
        expect(lost > 0, f"{before}")
        epoch = cluster.epochs()[hung.name]
        os.kill(hung.process.pid, signal.SIGSTOP)

        def replaced():
            members = cluster.members(other, "web")
            return sum(where != hung.name for where in members.values()) == 6 and members

        members = other.wait(replaced, "members in place of the silent host's")
        told = {item["name"]: item for item in other.done("GET", "/v1/hosts")["items"]}[hung.name]
        expect(told["epoch"] == epoch and told["health"] == "silent", f"{members}, {told}")
        os.kill(hung.process.pid, signal.SIGCONT)
        other.wait(lambda: cluster.all_alive(3), "it to be heard again")
        other.wait(lambda: len(other.list()) == 6 and len(cluster.members(other, "web")) == 6, "no more than asked for")
        expect(cluster.epochs()[hung.name] == epoch, "it was taken for lost")


@test("cluster: a shoald that is killed and started again keeps its microVMs")
def _():
    with temporary_folder() as folder, Cluster(folder, 2) as cluster:
        cluster.group("web", 4)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 4)
        for host in cluster.hosts:
            processes = host.processes()
            host.kill()
            host.start()
            expect(host.processes().keys() == processes.keys(), "other processes")
        expect(cluster.wait_for_members(cluster.hosts[1], "web", 4) == before, "they moved")
        for name, host in before.items():
            ran = cluster.host(host).ran(name)
            expect(max(b - a for a, b in zip(ran, ran[1:])) < 2_000_000_000, f"{name} stood still")


def hang_leader(cluster, seconds):
    leader = cluster.etcd_leader()
    cluster.etcd.stop(leader)
    time.sleep(seconds)
    cluster.etcd.go_on(leader)
    cluster.etcd.wait()


def expect_undisturbed(cluster, before, epochs):
    """All hosts live, as they did before, and the members of `web` are where they were."""
    cluster.hosts[0].wait(lambda: cluster.all_alive(2), "all hosts to be alive")
    expect(cluster.wait_for_members(cluster.hosts[0], "web", 4) == before, "they moved")
    now = cluster.epochs()
    expect(now == epochs, f"{epochs} became {now}")


@test("cluster: etcd's leader may die or hang: no host is taken for dead")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, etcd_members=3) as cluster:
        cluster.group("web", 4)
        host = cluster.hosts[0]
        before = cluster.wait_for_members(host, "web", 4)
        epochs = cluster.epochs()
        leader = cluster.etcd.leader()
        cluster.etcd.kill(leader)
        host.wait(lambda: cluster.etcd.leader() is not None, "another leader of etcd")
        cluster.etcd.start(leader)
        cluster.etcd.wait()
        hang_leader(cluster, 6)  # longer than a host's deadline
        expect_undisturbed(cluster, before, epochs)
        cluster.expect_one_at_a_time(before)


@test("cluster: no host is fenced and nothing stands still while etcd's leader hangs for 10 s, again and again")
def _():
    rounds = int(os.environ.get("SHOAL_LEADER_PAUSES") or 1)
    with temporary_folder() as folder, Cluster(folder, 2, etcd_members=3) as cluster:
        cluster.group("web", 4)
        host = cluster.hosts[0]
        before = cluster.wait_for_members(host, "web", 4)
        epochs = cluster.epochs()
        for _ in range(rounds):
            hang_leader(cluster, 10)
            expect_undisturbed(cluster, before, epochs)
        cluster.expect_one_at_a_time(before)
        ran = {name: cluster.host(where).ran(name) for name, where in before.items()}
        longest = max(b - a for moments in ran.values() for a, b in zip(moments, moments[1:]))
        print(f"        {rounds} times; the longest silence of a microVM: {longest / 1e6:.0f} ms")
        expect(longest < 2_000_000_000, "a microVM stood still, as if its host were fenced")


@test("cluster: a host that dies with etcd's leader, or while that hangs for 10 s, is taken over, and no other")
def _():
    rounds = int(os.environ.get("SHOAL_DEATHS") or 2)
    dice = seeded()
    with temporary_folder() as folder, Cluster(folder, 3, etcd_members=3) as cluster:
        cluster.group("web", 6)
        names = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        took = []
        for number in range(rounds):
            before, epochs = cluster.wait_for_members(cluster.hosts[0], "web", 6), cluster.epochs()
            dead = dice.choice([cluster.busiest_but_first(before), cluster.scheduler()])
            other = next(host for host in cluster.hosts if host is not dead)
            begun = time.monotonic()
            mend = (kill_member, stop_member)[number % 2](cluster, cluster.etcd_leader())
            dead.kill_host()
            took.append(cluster.wait_until_taken(dead))
            cluster.wait_for_members(other, "web", 6, but=[dead.name], timeout_s=30)
            time.sleep(max(0, begun + 10 - time.monotonic()))  # for so long it hangs
            mend()
            cluster.etcd.wait()
            dead.start()
            cluster.wait_for_return(other, dead)
            now = cluster.epochs()
            expect(all(now[name] == epochs[name] for name in now if name != dead.name), f"{epochs} became {now}")
            members = cluster.wait_for_members(other, "web", 6)
            expect(all(members[name] == where for name, where in before.items() if where != dead.name),
                   f"{before} became {members}")
        print(f"        {rounds} times; from death to decision: {', '.join(f'{seconds:.2f}' for seconds in took)} s")
        cluster.expect_one_at_a_time(names)


@test("cluster: a host that is a stranger to the others takes no microVM, which says so and goes on")
def _():
    with temporary_folder() as folder, \
            Cluster(folder, 2, options=with_certificates(folder, lambda name: "ca" if name == "h0" else "other")) as cluster:
        host = cluster.hosts[0]
        cluster.group("web", 2)
        before = cluster.wait_for_members(host, "web", 2)
        leaving = next(name for name, where in before.items() if where == "h0")
        host.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "draining"})
        host.wait(lambda: "could not move to h1: " in host.microvm(leaving)["status"]["reason"], "the reason")
        expect(cluster.members(host, "web") == before, "it moved, or does not run")
        stays = host.wait(lambda: host.done("GET", "/v1/hosts/h0")["drain"]["stays"], "the drain to say it")
        expect(stays == [f"{leaving}: its last move failed; it is tried again soon"], f"{stays}")


@test("cluster: a host is drained by live migration, and no microVM stands still for long")
def _():
    with temporary_folder() as folder, Cluster(folder, 3, options=with_certificates(folder)) as cluster:
        cluster.group("web", 9)
        host = cluster.hosts[0]
        before = cluster.wait_for_members(host, "web", 9)
        drained = cluster.busiest_but_first(before)
        leaving = [name for name, where in before.items() if where == drained.name]
        expect(len(leaving) >= 2, f"{before}")
        host.done("PUT", f"/v1/hosts/{drained.name}/scheduling", {"scheduling": "draining"})
        begun = time.monotonic()
        members = cluster.wait_for_members(host, "web", 9, but=[drained.name])
        print(f"        {len(leaving)} of 9 left in {time.monotonic() - begun:.2f} s")
        expect({name: where for name, where in members.items() if name not in leaving} ==
               {name: where for name, where in before.items() if name not in leaving}, "others moved too")
        host.wait(lambda: not drained.run_folders(), "their processes to go")
        wanted = {"moving": 0, "waiting": 0, "stays": []}
        host.wait(lambda: host.done("GET", f"/v1/hosts/{drained.name}")["drain"] == wanted, "the drain to be done")
        host.done("PUT", f"/v1/hosts/{drained.name}/scheduling", {"scheduling": "enabled"})
        cluster.expect_one_at_a_time(before)
        for name in leaving:
            arrived = cluster.host(members[name])
            status = host.microvm(name)["status"]
            expect(status["restarts"] == 0 and status["phase"] == "running", f"{status}")
            host.wait(lambda arrived=arrived, name=name: arrived.ran(name), f"{name} to say something")
            gap = arrived.ran(name)[0] - drained.ran(name)[-1]
            print(f"        {name}: {gap / 1e6:.1f} ms between what it said last there and first here")
            expect(gap < 2_000_000_000, f"{name} stood still for {gap} ns")


@test("cluster: a clone of a template leaves its host like any other microVM")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=PLAIN) as cluster:
        one, two = cluster.hosts
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
        make(one, "t", BUSYBOX, "sh", "-c", f"{BUSYBOX} cat /dev/clone > /tmp/words; while :; do {BUSYBOX} cat /tmp/words; "
             f"echo; {BUSYBOX} sleep 0.05; done")
        clone(one, "c", "hello")
        one.wait_phase("c", "running")
        one.wait(lambda: b"hello" in one.log("c"), "its output")
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "enabled"})
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "draining"})
        one.wait(lambda: one.microvm("c")["status"]["host"] == "h1", "it to leave")
        one.wait(lambda: not one.run_folders(), "its process to go")
        two.wait(lambda: b"hello" in two.log("c"), "its output there")
        one.done("DELETE", "/v1/microvms/c?grace_s=0")
        one.wait_gone("c")
        one.done("DELETE", "/v1/templates/t")


def cut(state):
    """What ran on a host behind this cable runs elsewhere, never twice, and the host comes back clean."""
    with temporary_folder() as folder, Cluster(folder, 3) as cluster:
        cluster.group("web", 6)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        away, other = cluster.busiest_but_first(before), cluster.hosts[0]
        expect(away.name in before.values(), f"{before}")
        away.set_cable(state)
        cluster.wait_for_members(other, "web", 6, but=[away.name], timeout_s=30)
        # Alone, it stands still: its fence needs nobody.
        stood = {name: away.ran(name) for name, host in before.items() if host == away.name}
        expect(all(stood.values()), f"{stood}")
        away.set_cable(UP)
        cluster.wait_for_return(other, away)
        cluster.wait_for_members(other, "web", 6)
        cluster.expect_one_at_a_time(before)


@test("cluster: a host whose cable is pulled stands still before its microVMs run elsewhere")
def _():
    cut(PULLED)


@test("cluster: a host that hears no answers stands still before its microVMs run elsewhere")
def _():
    cut(NO_ANSWERS)


@test("cluster: hosts die at any moment of a drain; every microVM runs once in the end")
def _():
    dice = seeded()
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        cluster.group("web", 9)
        asked = cluster.hosts[0]
        for _ in range(3):
            members = cluster.wait_for_members(asked, "web", 9)
            drained = cluster.busiest_but_first(members)
            victim = dice.choice(cluster.hosts[1:])
            asked.done("PUT", f"/v1/hosts/{drained.name}/scheduling", {"scheduling": "draining"})
            time.sleep(dice.uniform(0, 0.12))
            victim.kill_host()
            cluster.wait_for_members(asked, "web", 9, but={drained.name, victim.name}, timeout_s=40)
            cluster.expect_one_at_a_time(members)
            victim.start()
            asked.done("PUT", f"/v1/hosts/{drained.name}/scheduling", {"scheduling": "enabled"})
            asked.wait(lambda: cluster.all_alive(3), "all hosts to be alive")
            asked.wait(lambda: not drained.run_folders() and not victim.run_folders(), "both to be clean")
        expect(not cluster.etcd.list("/moves/"), "moves are left")


@test("cluster: make demo drains a host and kills another, and every microVM answers in the end")
def _():
    result = run([ROOT / "scripts/cluster/demo"], deadline_s=120)
    expect(result.code == 0, f"{result}")
    told = json.loads(result.out.splitlines()[-1])
    expect(set(told) == {"requests", "failed", "longest_gap_ms", "drain_ms", "failover_ms"}, f"{told}")
    expect(told["requests"] > 0 and told["failed"] < told["requests"] and told["drain_ms"] > 0, f"{told}")
    expect(b"0 lost their memory" in result.out, "a microVM that was moved began anew")
    print(f"        {result.out.splitlines()[-1].decode()}")
