"""shoald on hosts with network namespaces and cables of their own: what breaks, and what they share."""
import contextlib
import os
import re
import time

from cluster import RUNNING, seeded
from harness import BUSYBOX, expect, run, temporary_folder, test
from test_shoald_networks import SERVE, when_networks
from wires import WiredCluster

# Says who it is, and what only its memory knows, to whoever asks.
MARKED = f"""{BUSYBOX} cat /dev/clone > /tmp/words; {BUSYBOX} od -An -N8 -tx8 /dev/urandom >> /tmp/words
while :; do {BUSYBOX} nc -l -p 7 < /tmp/words; done"""


@contextlib.contextmanager
def wired(hosts, **more):
    with temporary_folder() as folder, WiredCluster(folder, hosts, **more) as cluster:
        yield cluster


def taps(host):
    """How many TAPs of microVMs there are on a host."""
    links = host.wire.network.run(["ip", "-o", "link"]).out.decode()
    return len(re.findall(r"^\d+: sh\w{4}t\w{8}:", links, re.M))


def cut(break_wire):
    """What ran on a host behind this wire runs elsewhere, never twice, and the host comes back clean."""
    with wired(3) as cluster:
        cluster.group("web", 6)
        before = cluster.wait_for_members(cluster.hosts[0], "web", 6)
        away, other = cluster.busiest_but_first(before), cluster.hosts[0]
        expect(away.name in before.values(), f"{before}")
        break_wire(away.wire)
        cluster.wait_for_members(other, "web", 6, but=[away.name], timeout_s=30)
        stood = [name for name, host in before.items() if host == away.name]
        expect(all(away.ran(name) for name in stood), f"{stood}")
        away.wire.mend()
        cluster.wait_for_return(other, away)
        cluster.wait_for_members(other, "web", 6)
        cluster.expect_one_at_a_time(before)


@test("wires: a host whose cable is pulled stands still before its microVMs run elsewhere")
@when_networks
def _():
    cut(lambda wire: wire.pull())


@test("wires: so does a host to which nothing comes through")
@when_networks
def _():
    cut(lambda wire: wire.lose("input"))


@test("wires: so does a host from which nothing comes through")
@when_networks
def _():
    cut(lambda wire: wire.lose("output"))


@test("wires: hosts are cut off at random, for moments or for longer; no microVM runs twice, and all come back")
@when_networks
def _():
    schedules = int(os.environ.get("SHOAL_PARTITIONS") or 3)
    print(f"        SHOAL_PARTITIONS={schedules}")
    dice = seeded()
    with wired(3) as cluster:
        asked = cluster.hosts[0]
        cluster.group("web", 6)
        names = cluster.wait_for_members(asked, "web", 6)
        for _ in range(schedules):
            wire = dice.choice(cluster.hosts[1:]).wire
            dice.choice((wire.pull, lambda wire=wire: wire.lose("input"), lambda wire=wire: wire.lose("output")))()
            time.sleep(dice.uniform(0, 8))  # the deadline is 4 s
            wire.mend()
            asked.wait(lambda: cluster.all_alive(3), "all hosts to be alive")
            cluster.wait_for_members(asked, "web", 6)
            cluster.expect_one_at_a_time(names)


@test("wires: a network is on every host, and an address in it is given out once, whatever dies")
@when_networks
def _():
    with wired(3) as cluster:
        one = cluster.hosts[0]
        one.done("POST", "/v1/networks", {"name": "n", "subnet": "10.78.1.0/24"})
        cluster.group("web", 9, (BUSYBOX, "sh", "-c", SERVE), microvm={"network": "n"})
        before = cluster.wait_for_members(one, "web", 9)
        expect(set(before.values()) == {"h0", "h1", "h2"}, f"{before}")

        def addresses():
            return {item["name"]: item["status"]["address"] for item in one.list()}

        def expect_unique(where):
            expect(len(set(where.values())) == 9 and all(where.values()), f"{where}")

        expect_unique(addresses())

        def expect_answers(where):
            for name, address in addresses().items():
                ping = cluster.host(where[name]).wire.network.command([BUSYBOX, "ping", "-c", "1", "-W", "1", address])
                one.wait(lambda ping=ping: run(ping).code == 0, f"{name} on {where[name]} to answer")

        expect_answers(before)
        drained, kept = cluster.hosts[1], addresses()
        one.done("PUT", f"/v1/hosts/{drained.name}/scheduling", {"scheduling": "draining"})
        moved = cluster.wait_for_members(one, "web", 9, but=[drained.name])
        expect(addresses() == kept, f"{kept} became {addresses()}")
        expect_answers(moved)
        expect(all(item["status"]["restarts"] == 0 for item in one.list()), "they moved while they ran")
        one.wait(lambda: taps(drained) == 0, "the TAPs of those that left to go")
        there = {host.name: taps(host) for host in cluster.hosts}
        expect(there == {name: list(moved.values()).count(name) for name in there}, f"TAPs: {there}, microVMs: {moved}")
        one.done("PUT", f"/v1/hosts/{drained.name}/scheduling", {"scheduling": "enabled"})
        dead = cluster.hosts[2]
        dead.kill_host()
        cluster.wait_for_members(one, "web", 9, but=[dead.name], timeout_s=30)
        expect_unique(addresses())
        dead.start()
        cluster.wait_for_return(one, dead)
        expect_unique(addresses())
        one.done("DELETE", "/v1/groups/web")
        one.wait(lambda: not one.list(), "the microVMs to go")
        one.wait(lambda: not cluster.etcd.list("/addresses/"), "their addresses to be taken back")
        one.done("DELETE", "/v1/networks/n")


@test("wires: a clone on a network moves, and goes on from a checkpoint, with the address that it has")
@when_networks
def _():
    with wired(3) as cluster:
        one = cluster.hosts[0]
        one.done("POST", "/v1/networks", {"name": "n", "subnet": "10.78.1.0/24"})
        one.done("POST", "/v1/templates", {"name": "t", "network": True, "program": BUSYBOX, "arguments": ["sh", "-c", MARKED],
                                           "memory_mib": 64})
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        one.done("POST", "/v1/microvms", {"name": "a", "template": "t", "network": "n", "on_host_failure": "restore",
                                          "checkpoint": {"interval_s": 1, "copies": 1}})

        def expect_answer(but=()):
            """At its address, on a host that is none of these. That host, and the address with what it says."""
            status = one.wait(lambda: (found := one.microvm("a")["status"])["phase"] == RUNNING and found["host"] not in but and found,
                              f"it to run, not on {but}")
            host = cluster.host(status["host"])
            words = host.wire.network.command([BUSYBOX, "nc", "-w", "5", status["address"], "7"])
            said = one.wait(lambda: run(words).out, f"{status['address']} to answer on {host.name}")
            expect(said.startswith(b"a\0"), f"{said}")
            return host, (status["address"], said)

        first, before = expect_answer()
        one.done("PUT", f"/v1/hosts/{first.name}/scheduling", {"scheduling": "draining"})
        second, moved = expect_answer(but=["h0", first.name])
        expect(moved == before, f"{before} became {moved}")
        one.wait(lambda: taps(first) == 0, "the TAP that it had to go")
        one.done("PUT", f"/v1/hosts/{first.name}/scheduling", {"scheduling": "enabled"})
        moved_at = one.microvm("a")["checkpoint"]
        one.wait(lambda: (record := one.microvm("a")["checkpoint"]) and record["hosts"] and record != moved_at, "a checkpoint")
        second.kill_host()
        _, restored = expect_answer(but=["h0", second.name])
        expect(restored == before, f"{before} became {restored}")
        second.start()
        cluster.wait_for_return(one, second)
        one.wait(one.delete_page, "it to go")
        for path in ("/v1/templates/t", "/v1/networks/n"):
            one.done("DELETE", path)


@test("wires: a microVM runs where its volume is, and waits for that host when it dies")
def _():
    with wired(2) as cluster:
        one, two = cluster.hosts
        two.done("POST", "/v1/volumes", {"name": "disk", "size_mib": 8})
        one.wait(lambda: one.request("GET", "/v1/volumes/disk")[0] == 200, "the volume to be known")
        one.done("POST", "/v1/volumes", {"name": "other", "size_mib": 8})
        two.wait(lambda: two.request("GET", "/v1/volumes/other")[0] == 200, "the volume to be known")
        detail = two.refused(422, "POST", "/v1/microvms", {"program": BUSYBOX, "volumes": ["other", "disk"]})
        expect("must be on one host" in detail, detail)
        one.create(BUSYBOX, "sleep", "1000", name="writer", memory_mib=32, volumes=["disk"])
        expect(one.wait_phase("writer", "running")["status"]["host"] == "h1", "its host")

        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "draining"})
        stays = one.wait(lambda: (one.done("GET", "/v1/hosts/h1")["drain"] or {}).get("stays"), "the drain to say it")
        expect(stays == ["writer: its volumes are files of host h1"], f"{stays}")
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "enabled"})

        two.kill_host()
        reason = one.wait(lambda: one.microvm("writer")["status"]["reason"], "the reason")
        reason = one.wait(lambda: (said := one.microvm("writer")["status"]["reason"]).startswith("2 hosts") and said,
                          "why it is nowhere")
        expect(reason == "2 hosts: 1 silent, 1 without its volumes", reason)
        two.start()
        expect(one.wait_phase("writer", "running")["status"]["host"] == "h1", "its host")
        one.done("DELETE", "/v1/microvms/writer?grace_s=0")
        two.wait_gone("writer")
        two.done("DELETE", "/v1/volumes/disk")
        one.done("DELETE", "/v1/volumes/other")
