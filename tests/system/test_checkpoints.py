"""Checkpoints: microVMs whose host dies go on elsewhere from what other hosts have of their memory."""
import contextlib
import datetime
import json
import os
import re
import shutil
import time

from cluster import PLAIN, Cluster, seeded, with_certificates
from harness import PROGRAMS, expect, temporary_folder, test
from link import PULLED, UP
from test_jail import has_landlock
from test_shoald_confined import expect_no_disk_of
from test_shoald_events import read_events
from test_shoald_images import add, folders, make_layout
from test_shoald_templates import make

TALLY = str(PROGRAMS / "tally")
LEDGER = str(PROGRAMS / "ledger")


def said(host, name):
    """[(count, ns)] of what a tally of this name said on this host."""
    try:
        text = (host.state_dir / "logs" / f"{name}.log").read_bytes()
    except FileNotFoundError:
        return []
    expect(b"broken" not in text, f"the memory of {name} on {host.name} is broken")
    return [(int(count), int(ns)) for count, ns in re.findall(rb"^count=(\d+)\r?\nalive (\d+)\r?\n", text, re.M)]


def set_scheduling(cluster, names, scheduling):
    for name in names:
        cluster.hosts[0].done("PUT", f"/v1/hosts/{name}/scheduling", {"scheduling": scheduling})


def start(cluster, name, interval_s=1, copies=1, **what):
    """A tally that does not run on the host that is asked. Its host. `what`: an image that has it as its program."""
    asked = cluster.hosts[0]
    set_scheduling(cluster, [asked.name], "cordoned")
    asked.done("POST", "/v1/microvms", {
        **(what or {"program": TALLY}), "name": name, "memory_mib": 64, "on_host_failure": "restore",
        "checkpoint": {"interval_s": interval_s, "copies": copies}})
    host = cluster.host(asked.wait_phase(name, "running")["status"]["host"])
    set_scheduling(cluster, [asked.name], "enabled")
    return host


def record_of(cluster, name):
    return json.loads(cluster.etcd.list("/checkpoints/").get(f"/checkpoints/{name}", "null"))


def wait_for_generation(cluster, name, generation):
    def reached():
        record = cluster.hosts[0].microvm(name)["checkpoint"]
        return record if record and record["hosts"] and record["generation"] >= generation else None

    return cluster.hosts[0].wait(reached, f"checkpoint {generation} of {name}")


def expect_one_copy(cluster, name):
    """As Cluster.expect_one_at_a_time; but a clock that was read just before a checkpoint is said by both, once."""
    hosts = {}
    for host in cluster.hosts:
        for word in said(host, name):
            hosts.setdefault(word, []).append(host.name)
    told = sorted((ns, names[0]) for (_, ns), names in hosts.items() if len(names) == 1)
    for (before, one), (after, other) in zip(told, told[1:]):
        expect(one == other or after - before > 11_000_000, f"{name} ran on {one} at {before}, on {other} at {after}")


def expect_restored(cluster, name, dead):
    """Where it goes on: from no earlier than the last checkpoint, and no later than where it was."""
    asked = cluster.hosts[0]
    record = record_of(cluster, name)
    before = said(dead, name)
    taken_ns = datetime.datetime.fromisoformat(record["taken_at"].replace("Z", "+00:00")).timestamp() * 1e9
    kept = max((count for count, ns in before if ns < taken_ns - 20_000_000), default=0)
    expect(kept > 0, f"{record}, {before[:3]}")

    def runs_elsewhere():
        status = asked.microvm(name)["status"]
        return status if status["phase"] == "running" and status["host"] != dead.name else None

    status = asked.wait(runs_elsewhere, f"{name} to run elsewhere")
    host = cluster.host(status["host"])

    def counts():  # its log may also have what it said there before
        return [count for count, ns in said(host, name) if ns > before[-1][1]]

    asked.wait(lambda: len(counts()) > 5, f"{name} to say something on {host.name}")
    after = counts()
    expect(kept <= after[0] <= before[-1][0] + 1, f"kept {kept}, said {before[-1]} before, goes on at {after[0]}")
    expect(after == list(range(after[0], after[0] + len(after))), f"it leaps: {after[:20]}")
    expect(status["restarts"] == 0, f"{status}")
    expect_one_copy(cluster, name)
    print(f"        {name}: generation {record['generation']}, {record['sent_bytes'] >> 10} KiB, paused "
          f"{record['pause_us'] / 1000:.1f} ms; went on at {after[0]}, had said {before[-1][0]}")
    return host


def checkpoint_folders(host):
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(host.state_dir / "checkpoints"))
    return []


def wait_for_none(cluster):
    """Once its microVMs are deleted, nothing is left of checkpoints."""
    asked = cluster.hosts[0]
    asked.wait(asked.delete_page, "the microVMs to go")
    asked.wait(lambda: not any(checkpoint_folders(host) for host in cluster.hosts),
               f"checkpoints to go: {[checkpoint_folders(host) for host in cluster.hosts]}")
    expect(not cluster.etcd.list("/checkpoints/"), "records are left")


@test("checkpoints: a microVM whose host dies goes on elsewhere from its last checkpoint, again and again")
def _():
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        host = start(cluster, "a")
        for _ in range(2):
            generation = (record_of(cluster, "a") or {"generation": 0})["generation"]
            record = wait_for_generation(cluster, "a", generation + 2)
            expect(host.name not in record["hosts"] and len(record["hosts"]) == 1, f"{record}")
            if host is cluster.hosts[0]:
                break
            host.kill_host()
            dead, host = host, expect_restored(cluster, "a", host)
            dead.start()
            cluster.wait_for_return(cluster.hosts[0], dead)
        wait_for_generation(cluster, "a", generation + 4)
        cluster.hosts[0].wait(lambda: sum(len(checkpoint_folders(each)) for each in cluster.hosts) <= 2,
                              "older checkpoints to go")
        wait_for_none(cluster)


@test("checkpoints: a microVM of an image goes on from its last checkpoint where the image is not yet")
def of_image():
    def add_tally(root):
        shutil.copy(TALLY, root / "bin/tally")

    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        asked = cluster.hosts[0]
        layout = make_layout(folder, "--config.entrypoint", "/bin/tally", more=add_tally)
        digest = add(asked, layout)["spec"]["digest"]
        host = start(cluster, "a", image="i")
        set_scheduling(cluster, [asked.name], "cordoned")  # the third host gets it
        wait_for_generation(cluster, "a", 2)
        host.kill_host()
        other = expect_restored(cluster, "a", host)
        expect(other is not asked and folders(other) == [digest], f"{other.name} has {folders(other)}")
        set_scheduling(cluster, [asked.name], "enabled")
        host.start()
        cluster.wait_for_return(asked, host)
        wait_for_none(cluster)
        asked.done("DELETE", "/v1/images/i")


@test("checkpoints: with two copies one of the hosts that keep them may die too")
def _():
    with temporary_folder() as folder, Cluster(folder, 4, options=PLAIN) as cluster:
        host = start(cluster, "a", copies=2)
        record = wait_for_generation(cluster, "a", 2)
        expect(len(set(record["hosts"])) == 2 and host.name not in record["hosts"], f"{record}")
        keeper = next(name for name in record["hosts"] if name != cluster.hosts[0].name)
        cluster.host(keeper).kill_host()
        host.kill_host()
        expect_restored(cluster, "a", host)
        wait_for_generation(cluster, "a", record["generation"] + 1)
        for dead in (host, cluster.host(keeper)):
            dead.start()
        cluster.hosts[0].wait(lambda: cluster.all_alive(4), "all hosts to be alive")
        wait_for_none(cluster)


def damage(host, name, record, what="memory"):
    """One byte of the copy that this host has, where it is no hole."""
    path = host.state_dir / "checkpoints" / f"{name}@{record['placement']}.{record['generation']}" / what
    with open(path, "r+b") as file:
        at = os.lseek(file.fileno(), 1 << 20, os.SEEK_DATA) + 100
        byte = os.pread(file.fileno(), 1, at)[0]
        os.pwrite(file.fileno(), bytes([byte ^ 1]), at)


@test("checkpoints: of two copies the one that is damaged is not gone on from")
def _():
    with temporary_folder() as folder, Cluster(folder, 4, options=PLAIN) as cluster:
        asked = cluster.hosts[0]
        host = start(cluster, "a", copies=2)
        wait_for_generation(cluster, "a", 2)
        host.kill_host()
        record = record_of(cluster, "a")
        damaged = cluster.host(record["hosts"][0])
        damage(damaged, "a", record)
        others = [each.name for each in cluster.hosts if each not in (damaged, host)]
        set_scheduling(cluster, others, "cordoned")
        expect(expect_restored(cluster, "a", host) is damaged, "it is not where its copy is damaged")
        expect(asked.microvm("a")["status"]["restarts"] == 0, "it began anew")
        set_scheduling(cluster, others, "enabled")
        host.start()
        cluster.wait_for_return(asked, host)
        wait_for_none(cluster)


@test("checkpoints: a microVM whose only copy is damaged begins anew, and says why")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=PLAIN) as cluster:
        asked = cluster.hosts[0]
        host = start(cluster, "a")
        wait_for_generation(cluster, "a", 2)
        begun = asked.done("GET", "/v1/microvms")["resource_version"]
        host.kill_host()
        damage(asked, "a", record_of(cluster, "a"))
        asked.wait(lambda: said(asked, "a"), "it to say something there")
        expect(said(asked, "a")[0][0] == 1, f"{said(asked, 'a')[:3]}")
        expect(asked.wait_phase("a", "running")["status"]["restarts"] == 1, "it is the same attempt")
        ended = asked.done("GET", "/v1/microvms")["resource_version"]
        reasons = [event["object"]["reason"] for event in read_events(asked, begun, ended)
                   if event["kind"] == "statuses" and event["name"] == "a" and event["object"]]
        expect(any(reason.startswith("it begins anew, not from its checkpoint: no host has given its checkpoint: the copy "
                                     f"of host {asked.name} is damaged: ") for reason in reasons), f"{reasons}")
        host.start()
        cluster.wait_for_return(asked, host)


@test("checkpoints: a clone with a vsock device goes on elsewhere without its template, over TLS")
def _():
    with temporary_folder() as folder, Cluster(folder, 3, options=with_certificates(folder)) as cluster:
        asked, host = cluster.hosts[:2]
        make(host, "t", TALLY, ready_line="count=10", vsock=True)
        others = ("h0", "h2")
        set_scheduling(cluster, others, "cordoned")
        asked.done("POST", "/v1/microvms", {"name": "a", "template": "t", "on_host_failure": "restore",
                                            "checkpoint": {"interval_s": 1, "copies": 1}})
        asked.wait_phase("a", "running")
        set_scheduling(cluster, others, "enabled")
        wait_for_generation(cluster, "a", 2)
        host.kill_host()
        after = expect_restored(cluster, "a", host)
        vsock = asked.microvm("a")["status"]["vsock"]
        expect(vsock.startswith(str(after.run_dir)) and os.path.exists(vsock), f"{vsock}")
        wait_for_generation(cluster, "a", 4)
        host.start()
        cluster.wait_for_return(asked, host)
        wait_for_none(cluster)
        asked.done("DELETE", "/v1/templates/t")


def start_ledger(host, name, blocks=4, interval_s=1):
    """A ledger with a volume of its name, on this host."""
    host.done("POST", "/v1/volumes", {"name": name, "size_mib": 16})
    host.create(LEDGER, str(blocks), name=name, memory_mib=64, volumes=[name], on_host_failure="restore",
                checkpoint={"interval_s": interval_s})
    expect(host.wait_phase(name, "running")["status"]["host"] == host.name, "it is not where its volume is")


def volume_files(host, name):
    return sorted(file for file in os.listdir(host.state_dir / "volumes") if re.match(rf"{name}[@.]", file))


@test("checkpoints: a microVM goes on elsewhere with its volume, which is as its memory knows it, again and again")
def _():
    dice = seeded()
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        asked, host = cluster.hosts[:2]
        start_ledger(host, "a")
        set_scheduling(cluster, [asked.name], "cordoned")
        for takeovers in range(1, 4):
            generation = (record_of(cluster, "a") or {"generation": 0})["generation"]
            wait_for_generation(cluster, "a", generation + 3)
            time.sleep(dice.uniform(0, 1.2))  # at any moment of the next one
            host.kill_host()
            dead, host = host, expect_restored(cluster, "a", host)
            volume = asked.done("GET", "/v1/volumes/a")
            expect(volume["spec"]["host"] == host.name and volume["spec"]["takeovers"] >= takeovers, f"{volume}")
            expect(volume["attached_to"] == "a", f"{volume}")
            expect(volume_files(host, "a") == [f"a@{volume['spec']['takeovers']}.raw"], f"{volume_files(host, 'a')}")
            dead.start()
            cluster.wait_for_return(asked, dead)
            asked.wait(lambda: not volume_files(dead, "a"), "what the dead host had of the volume to go")
        if has_landlock():
            expect_no_disk_of(host, "a", host.state_dir / "logs" / "a.log", "/etc/passwd")
        wait_for_generation(cluster, "a", record_of(cluster, "a")["generation"] + 3)
        said(host, "a")  # Nothing is broken.
        wait_for_none(cluster)
        host.done("DELETE", "/v1/volumes/a")
        expect(not any(volume_files(each, "a") for each in cluster.hosts), "files are left")


@test("checkpoints: a host that was cut off writes no more to a volume that another one has taken over")
def _():
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        asked, host = cluster.hosts[:2]
        start_ledger(host, "a", blocks=64)
        wait_for_generation(cluster, "a", 2)
        host.set_cable(PULLED)
        expect_restored(cluster, "a", host)
        expect(volume_files(host, "a") == ["a.raw"], f"{volume_files(host, 'a')}")
        host.set_cable(UP)
        cluster.wait_for_return(asked, host)
        asked.wait(lambda: not volume_files(host, "a"), "what it had of the volume to go")
        expect_one_copy(cluster, "a")
        taken_over = cluster.host(asked.microvm("a")["status"]["host"])
        wait_for_none(cluster)
        taken_over.done("DELETE", "/v1/volumes/a")


@test("checkpoints: hosts die at any moment at which they take a volume over, and memory and volume go together")
def _():
    dice = seeded()
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        asked, first, second = cluster.hosts
        start_ledger(first, "a")
        set_scheduling(cluster, [asked.name], "cordoned")
        for _ in range(2):
            wait_for_generation(cluster, "a", (record_of(cluster, "a") or {"generation": 0})["generation"] + 2)
            first.kill_host()
            asked.wait(lambda: json.loads(cluster.etcd.list("/placements/").get("/placements/a", "{}")).get("host") == second.name,
                       "it to be placed elsewhere")
            time.sleep(dice.uniform(0, 0.3))
            taken_over = asked.done("GET", "/v1/volumes/a")["spec"]["host"] == second.name
            second.kill_host()
            for host in (first, second):
                shutil.rmtree(host.run_dir / "microvms")  # as /run is after a loss of power
                host.start()
            asked.wait(lambda: cluster.all_alive(3), "all hosts to be alive")
            running = asked.wait_phase("a", "running")["status"]["host"]
            now_ns = time.time_ns()
            asked.wait(lambda: any(ns > now_ns for _, ns in said(cluster.host(running), "a")), "it to go on")
            print(f"        killed when the volume was {'' if taken_over else 'not '}taken over; it runs on {running}")
            if running != first.name:
                first, second = second, first
        said(first, "a")
        wait_for_none(cluster)
        first.done("DELETE", "/v1/volumes/a")
        expect(not any(volume_files(each, "a") for each in cluster.hosts), "files are left")


def expect_wait(cluster, name, host):
    """It waits for the host that has its volume, and begins there with what is on it."""
    asked = cluster.hosts[0]
    counted = said(host, name)[-1][0]
    asked.wait(lambda: not asked.microvm(name)["status"]["host"], "it to be placed nowhere")
    asked.wait(lambda: "without its volumes" in asked.microvm(name)["status"]["reason"], "a reason")
    host.start()
    asked.wait_phase(name, "running")
    expect(asked.microvm(name)["status"]["host"] == host.name, "it is not where its volume is")
    asked.wait(lambda: said(host, name)[-1][0] > counted, "it to go on counting")
    text = (host.state_dir / "logs" / f"{name}.log").read_text()
    begins = [int(number) for number in re.findall(r"begins with (\d+)", text)]  # perhaps behind half a line
    expect(len(begins) == 2 and begins[1] >= counted, f"{begins}, it had counted to {counted}")
    asked.delete_page()
    asked.wait(lambda: not asked.list(), "the microVM to go")
    host.done("DELETE", f"/v1/volumes/{name}")


@test("checkpoints: a microVM that has no checkpoint yet waits for its volume, and loses nothing of it")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=PLAIN) as cluster:
        host = cluster.hosts[1]
        start_ledger(host, "a", interval_s=3600)
        cluster.hosts[0].wait(lambda: said(host, "a"), "it to say something")
        host.kill_host()
        expect_wait(cluster, "a", host)


@test("checkpoints: a microVM whose only copy is damaged waits for its volume, and loses nothing of it")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=PLAIN) as cluster:
        host = cluster.hosts[1]
        start_ledger(host, "a")
        wait_for_generation(cluster, "a", 2)
        host.kill_host()
        damage(cluster.hosts[0], "a", record_of(cluster, "a"), "drive-0")
        expect_wait(cluster, "a", host)
        expect(not volume_files(cluster.hosts[0], "a"), "a copy is left")


@test("checkpoints: a group's members go on, each from its own, when their host dies")
def _():
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        asked = cluster.hosts[0]
        cluster.group("g", 6, program=(TALLY,), microvm={"on_host_failure": "restore", "checkpoint": {"interval_s": 1}})
        members = cluster.wait_for_members(asked, "g", 6)
        for name in members:
            wait_for_generation(cluster, name, 2)
        dead = cluster.busiest_but_first(members)
        lost = [name for name, where in members.items() if where == dead.name]
        dead.kill_host()
        for name in lost:
            expect_restored(cluster, name, dead)
        cluster.wait_for_members(asked, "g", 6)
        dead.start()
        cluster.wait_for_return(asked, dead)
        asked.done("DELETE", "/v1/groups/g")
        wait_for_none(cluster)


@test("checkpoints: hosts die at any moment of a checkpoint, and the last good one is what counts")
def _():
    dice = seeded()
    with temporary_folder() as folder, Cluster(folder, 3, options=PLAIN) as cluster:
        for number in range(3):
            name = f"m-{number}"
            host = start(cluster, name)
            wait_for_generation(cluster, name, 1)
            wait_for_generation(cluster, name, record_of(cluster, name)["generation"] + 1)
            time.sleep(1 + dice.uniform(-0.05, 0.3))  # about when the next one is made
            host.kill_host()
            expect_restored(cluster, name, host)
            host.start()
            cluster.wait_for_return(cluster.hosts[0], host)
            wait_for_none(cluster)


@test("checkpoints: a microVM that is lost before its first one begins anew, and events say why")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=PLAIN) as cluster:
        asked = cluster.hosts[0]
        host = start(cluster, "a", interval_s=3600)
        asked.wait(lambda: said(host, "a"), "it to say something")
        begun = asked.done("GET", "/v1/microvms")["resource_version"]
        host.kill_host()
        asked.wait(lambda: asked.microvm("a")["status"]["host"] == asked.name, "it to run elsewhere")
        asked.wait(lambda: said(asked, "a"), "it to say something there")
        expect(said(asked, "a")[0][0] == 1, f"{said(asked, 'a')[:3]}")
        ended = asked.done("GET", "/v1/microvms")["resource_version"]
        reasons = [event["object"]["reason"] for event in read_events(asked, begun, ended)
                   if event["kind"] == "statuses" and event["name"] == "a" and event["object"]]
        expect(f"its host {host.name} was lost before it had a checkpoint: it begins anew" in reasons, f"{reasons}")
        host.start()
        cluster.wait_for_return(asked, host)


@test("checkpoints: what cannot be restored is refused with the reason")
def _():
    with temporary_folder() as folder, Cluster(folder, 1, options=PLAIN) as cluster:
        host = cluster.hosts[0]
        host.done("POST", "/v1/volumes", {"name": "v", "size_mib": 1 << 20})
        spec = {"program": TALLY, "name": "a", "volumes": ["v"], "on_host_failure": "restore"}
        expect(host.refused(422, "POST", "/v1/microvms", spec) ==
               "volume v has 1 TiB or more: a microVM with on_host_failure restore cannot have it", "volumes")
        spec = {"program": TALLY, "name": "a", "checkpoint": {}}
        expect(host.refused(422, "POST", "/v1/microvms", spec) == "microvm.checkpoint needs on_host_failure restore",
               "restart")
        host.done("DELETE", "/v1/volumes/v")
