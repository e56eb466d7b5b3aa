"""shoald: templates, and microVMs that are clones of them."""
import os
import pathlib
import shutil

from daemon import FINAL, Daemon
from harness import BUSYBOX, PROGRAMS, SHOAL, expect, run, temporary_folder, test

CLONED = str(PROGRAMS / "cloned")  # says its id and its arguments, then ends
WAITS = ("sh", "-c", f"{BUSYBOX} cat /dev/clone > /tmp/words; echo ready; exec {BUSYBOX} sleep 1000")


def make(daemon, name="t", program=CLONED, *arguments, **more):
    return daemon.done("POST", "/v1/templates", {"name": name, "program": program, "arguments": [*arguments],
                                                 "memory_mib": 64, **more})


def clone(daemon, name, *arguments, template="t", **more):
    return daemon.done("POST", "/v1/microvms", {"name": name, "template": template, "arguments": [*arguments], **more})


def folders(daemon):
    return sorted(os.listdir(daemon.state_dir / "templates"))


@test("shoald: a template is prepared once, and its clones have their words, output, exit code and control group")
def lifecycle():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        made = make(daemon)
        expect(made["spec"]["memory_mib"] == 64 and len(made["spec"]["digest"]) == 64, f"{made}")
        expect(folders(daemon) == [made["spec"]["digest"]], f"{folders(daemon)}")
        for number in range(5):
            created = clone(daemon, f"c-{number}", f"argument {number}", "", "x")
            expect(created["spec"]["memory_mib"] == 64, f"a clone has its template's memory: {created}")
        for number in range(5):
            status = daemon.wait_phase(f"c-{number}", *FINAL)["status"]
            expect((status["phase"], status["exit_code"]) == ("succeeded", 0), f"{status}")
            words = daemon.log(f"c-{number}").decode().split(" ")
            expect(words[:3] == [f"c-{number}", "argument", f"{number}"], f"{words}")
        daemon.wait(lambda: not daemon.run_folders(), "the run folders to go")
        made_of = daemon.state_dir / "templates" / made["spec"]["digest"]
        expect(sorted(os.listdir(made_of)) == ["memory", "state", "working-set"], f"{os.listdir(made_of)}")
        expect(os.listdir(made_of / "working-set") == ["pages"], f"what a clone used is known: {os.listdir(made_of / 'working-set')}")


@test("shoald: running clones outlive shoald's kill -9, and are stopped and deleted as others are")
def adopted():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        make(daemon, "t", BUSYBOX, *WAITS)
        clone(daemon, "a", "x")
        clone(daemon, "b", restart="always")
        for name in ("a", "b"):
            daemon.wait_phase(name, "running")
        pids = set(daemon.processes())
        expect(len(pids) == 4, f"{daemon.processes()}")
        daemon.kill()
        daemon.start()
        for name in ("a", "b"):
            daemon.wait_phase(name, "running")
        expect(set(daemon.processes()) == pids, "a clone was not adopted")
        expect(daemon.log("a") == b"ready\n", f"{daemon.log('a')}")
        daemon.done("DELETE", "/v1/microvms/a?grace_s=1")
        daemon.wait_gone("a")
        for pid, words in daemon.processes().items():
            if b"shoal-vmm" in words[0]:
                os.kill(pid, 9)
        again = daemon.wait(lambda: daemon.microvm("b")["status"]["restarts"] == 1 and daemon.microvm("b"), "a restart")
        expect(again["status"]["exit_code"] == 137, f"{again}")
        daemon.wait_phase("b", "running")


@test("shoald: a group of clones is kept at its count")
def group():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        make(daemon, "t", BUSYBOX, *WAITS)
        daemon.done("POST", "/v1/groups", {"name": "g", "count": 4, "microvm": {"template": "t"}})
        daemon.wait(lambda: daemon.done("GET", "/v1/groups/g")["members"]["running"] == 4, "the group")
        expect("in use by" in daemon.refused(409, "DELETE", "/v1/templates/t"), "who uses it")
        daemon.done("DELETE", "/v1/groups/g")
        daemon.wait(lambda: not daemon.list(), "its members to go")
        daemon.done("DELETE", "/v1/templates/t")
        expect(folders(daemon) == [], f"left behind: {folders(daemon)}")


@test("shoald: what is wrong with a template or a clone is said, and nothing is left of it")
def refused():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        detail = daemon.refused(422, "POST", "/v1/templates", {"name": "t", "program": BUSYBOX, "arguments": ["true"]})
        expect("exit code 0" in detail, detail)
        detail = daemon.refused(422, "POST", "/v1/templates", {"name": "t", "program": "/no/such"})
        expect("/no/such" in detail, detail)
        detail = daemon.refused(422, "POST", "/v1/templates",
                                {"name": "t", "program": BUSYBOX, "arguments": ["sleep", "1000"], "timeout_s": 1})
        expect("not ready within 1 s" in detail, detail)
        expect("absolute" in daemon.refused(400, "POST", "/v1/templates", {"name": "t", "from": "x"}), "a relative path")
        expect("neither" in daemon.refused(400, "POST", "/v1/templates", {"name": "t"}), "no source")
        expect("no template t" in daemon.refused(422, "POST", "/v1/microvms", {"template": "t"}), "no template")
        expect("both" in daemon.refused(400, "POST", "/v1/microvms", {"template": "t", "program": "x"}), "both")
        daemon.wait(lambda: not daemon.processes(), "the programs to end")
        expect(folders(daemon) == [], f"left behind: {folders(daemon)}")
        make(daemon)
        expect("already" in daemon.refused(409, "POST", "/v1/templates", {"name": "t", "program": CLONED}), "a second t")
        status, _ = daemon.request("PUT", "/v1/templates/t", {"name": "t", "program": CLONED})
        expect(status == 200, f"applied again: {status}")
        for body, piece in (({"environment": ["A=b"]}, "environment"), ({"vsock": True}, "no vsock"),
                            ({"arguments": ["x" * 40000]}, "32768")):
            detail = daemon.refused(422, "POST", "/v1/microvms", {"template": "t", **body})
            expect(piece in detail, detail)


@test("shoald: a damaged template is not started from, and one whose files are gone says so")
def damaged():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        made = make(daemon)
        memory = daemon.state_dir / "templates" / made["spec"]["digest"] / "memory"
        whole = memory.with_name("whole")
        shutil.copy(memory, whole)
        with open(memory, "r+b") as file:
            file.seek(100_000)
            file.write(b"not what it was")
        clone(daemon, "c")
        daemon.wait(lambda: "damaged" in daemon.microvm("c")["status"]["reason"], "the damage to be seen")
        os.rename(whole, memory)
        daemon.wait_phase("c", "succeeded")
        shutil.rmtree(memory.parent)
        clone(daemon, "d")
        daemon.wait(lambda: "not on this host" in daemon.microvm("d")["status"]["reason"], "the absence to be seen")


@test("shoald: a folder that shoal snapshot has filled is imported under the name of its content")
def imported():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        source = os.path.join(folder, "source")
        result = run([SHOAL, "snapshot", "--to", source, "--memory", "64", "--", CLONED])
        expect(result.code == 0, f"{result}")
        pathlib.Path(source, "memory.working-set").write_bytes(b"is no part of the content")
        digests = [daemon.done("POST", "/v1/templates", {"name": name, "from": source})["spec"]["digest"] for name in "ab"]
        expect(digests[0] == digests[1] and folders(daemon) == digests[:1], f"{digests} {folders(daemon)}")
        shutil.rmtree(source)
        memory = daemon.state_dir / "templates" / digests[0] / "memory"
        expect(os.stat(memory).st_blocks * 512 < 32 << 20, "zero pages are holes")
        expect(memory.with_name("working-set").joinpath("pages").read_bytes() == b"is no part of the content", "it comes along")
        daemon.done("DELETE", "/v1/templates/a")
        clone(daemon, "c", template="b")
        daemon.wait_phase("c", "succeeded")
        detail = daemon.refused(422, "POST", "/v1/templates", {"name": "c", "from": source})
        expect("cannot" in detail, detail)
        daemon.kill()  # what was being made, or is of nobody, goes with the next start
        os.makedirs(daemon.state_dir / "templates" / ".partial-x")
        os.makedirs(daemon.state_dir / "templates" / ("0" * 64))
        daemon.start()
        expect(folders(daemon) == digests[:1], f"{folders(daemon)}")


def peak_mib(daemon, name):
    """The most that its control group has had; None: the kernel does not say."""
    for parent in daemon.cgroups():
        for path in parent.glob(f"{name}@*/memory.*"):
            if path.name in ("memory.peak", "memory.max_usage_in_bytes"):
                return int(path.read_text()) >> 20
    return None


@test("shoald: what microVMs do not use any more is the host's without anybody asking, clones' too")
def free_memory_is_given_back():
    frees = (f"{BUSYBOX} dd if=/dev/zero of=/tmp/file bs=1M count=100 2>/tmp/said; {BUSYBOX} rm /tmp/file; echo freed; "
             f"exec {BUSYBOX} sleep 1000")
    cloned = ["sh", "-c", f"{BUSYBOX} cat /dev/clone > /tmp/words; {frees}"]
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("POST", "/v1/templates", {"name": "t", "program": BUSYBOX, "arguments": cloned, "memory_mib": 192})
        daemon.create(BUSYBOX, "sh", "-c", frees, name="booted", memory_mib=192)
        daemon.done("POST", "/v1/microvms", {"name": "clone", "template": "t"})
        for name in ("booted", "clone"):
            daemon.wait(lambda: daemon.log(name) == b"freed\n", f"{name} to have freed its memory")
            peak = peak_mib(daemon, name)
            expect(peak is None or peak >= 100, f"{name} has never had more than {peak} MiB")

        def resident_mib():
            return {item["name"]: item["memory_bytes"] >> 20 for item in daemon.done("GET", "/v1/usage")["items"]}

        daemon.wait(lambda: max(resident_mib().values()) < 40, "what is free to be the host's")
        print(f"        {resident_mib()} MiB are resident")
