"""shoald: microVMs by an HTTP API, what is refused, and how they end."""
import pathlib

from daemon import FINAL, SHOALD, Daemon
from harness import BUSYBOX, expect, expect_refused, run, temporary_folder, test

SLEEP = (BUSYBOX, "sleep", "1000")


@test("shoald: a microVM is created, runs to its end, and its output and exit code are there")
def runs_to_completion():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        made = daemon.create(BUSYBOX, "sh", "-c", "echo hello $WHO; exit 3", name="job-1", environment=["WHO=you"])
        expect(made["name"] == "job-1" and made["resource_version"] > 0, f"{made}")
        ended = daemon.wait_phase("job-1", *FINAL)
        status = ended["status"]
        expect((status["phase"], status["exit_code"]) == ("failed", 3), f"{status}")
        expect(status["started_at"] <= status["ended_at"] and "exit code 3" in status["reason"], f"{status}")
        expect(daemon.log("job-1") == b"hello you\n", f"{daemon.log('job-1')}")
        expect(daemon.log("job-1", "?offset=6") == b"you\n", f"{daemon.log('job-1')}")
        daemon.wait(lambda: not daemon.run_folders(), "its run folder to go")
        daemon.done("DELETE", "/v1/microvms/job-1")
        daemon.wait_gone("job-1")
        expect(not list((daemon.state_dir / "logs").iterdir()), "its log was left behind")


@test("shoald: a time limit ends a microVM with exit code 124")
def time_limit():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        name = daemon.create(*SLEEP, time_limit_s=1)["name"]
        status = daemon.wait_phase(name, *FINAL)["status"]
        expect(status["exit_code"] == 124 and "time limit of 1 s" in status["reason"], f"{status}")


@test("shoald: restart on_failure starts again until it succeeds, always goes on")
def restarts():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "false", name="fails", restart="on_failure")
        daemon.create(BUSYBOX, "true", name="works", restart="on_failure")
        daemon.create(BUSYBOX, "true", name="again", restart="always")
        expect(daemon.wait_phase("works", *FINAL)["status"]["restarts"] == 0, "it was started again")
        for name in ("fails", "again"):
            daemon.wait(lambda name=name: daemon.microvm(name)["status"]["restarts"] >= 2, f"{name} to be restarted")
            expect(daemon.microvm(name)["status"]["phase"] not in FINAL, f"{name} is over")


@test("shoald: a running microVM is deleted with all its processes and files")
def deletes():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(*SLEEP, name="one")
        daemon.wait_phase("one", "running")
        expect(len(daemon.processes()) == 2, f"{daemon.processes()}")
        daemon.done("DELETE", "/v1/microvms/one?grace_s=5")
        daemon.wait_gone("one")
        expect(not daemon.processes() and not daemon.run_folders(), f"{daemon.processes()} {daemon.run_folders()}")
        daemon.create(BUSYBOX, "true", name="one")
        daemon.wait_phase("one", "succeeded")


@test("shoald: a microVM's processes are in a control group of its own, with its limits")
def control_group():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        if not daemon.cgroups():
            return  # this host has no controllers for us
        daemon.create(*SLEEP, name="one", memory_mib=32)
        daemon.wait_phase("one", "running")
        for pid in daemon.processes():
            lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
            ours = [line for line in lines if "/one@" in line]
            expect(len(ours) == len(daemon.cgroups()), f"{lines}, {daemon.cgroups()}")
        limits = [int(path.read_text()) for parent in daemon.cgroups() for path in parent.glob("one@*/memory*")
                  if path.name in ("memory.max", "memory.limit_in_bytes")]
        expect(limits == [(32 + 64) << 20], f"{limits}")


@test("shoald: fewer microVMs are admitted where the limit of descriptors is low", needs_kvm=False)
def admits_by_descriptors():
    with temporary_folder() as folder, Daemon(folder, "--host", "h", within=("prlimit", "--nofile=1030:1030")) as daemon:
        daemon.wait(lambda: daemon.request("GET", "/v1/hosts/h")[0] == 200, "the host to be known")
        expect(daemon.done("GET", "/v1/hosts/h")["spec"]["allocatable"]["microvms"] == 3, "how many it admits")


@test("shoald: what is wrong with a request is said in a problem of RFC 9457")
def refuses():
    with temporary_folder() as folder, Daemon(folder, "--max-microvms", "1") as daemon:
        ok = {"program": BUSYBOX, "name": "a", "arguments": ["sleep", "1000"]}
        made = daemon.done("POST", "/v1/microvms", ok)
        cases = [
            (400, "POST", "/v1/microvms", "{", "JSON"),
            (400, "POST", "/v1/microvms", {"program": BUSYBOX, "colour": "red"}, '"colour"'),
            (400, "POST", "/v1/microvms", {"program": BUSYBOX, "name": "A"}, "no name"),
            (400, "POST", "/v1/microvms", {"program": BUSYBOX, "memory_mib": 1 << 40}, "memory_mib"),
            (413, "POST", "/v1/microvms", " " * (524288 + 1), "524288"),
            (409, "POST", "/v1/microvms", ok, "already"),
            (404, "GET", "/v1/microvms/nobody", None, "nobody"),
            (404, "GET", "/v2", None, "path"),
            (405, "PATCH", "/v1/microvms", None, "GET"),
            (400, "GET", "/v1/microvms?limit=0", None, "1000"),
            (400, "GET", "/v1/microvms?colour=red", None, "colour"),
            (400, "GET", "/v1/microvms/%zz", None, "hexadecimal"),
            (422, "PUT", "/v1/microvms/a", {**ok, "memory_mib": 64}, "labels"),
            (431, "GET", "/v1/microvms/" + "x" * 20000, None, "16384"),
        ]
        for status, method, path, body, piece in cases:
            detail = daemon.refused(status, method, path, body)
            expect(piece in detail, f"{method} {path}: {piece!r} is not in {detail!r}")
        daemon.create(BUSYBOX, "true", name="b")
        reason = daemon.wait(lambda: daemon.microvm("b")["status"]["reason"], "the reason")
        expect("no room" in reason, reason)
        daemon.done("DELETE", f"/v1/microvms/{made['name']}")
        daemon.wait_phase("b", "succeeded")


@test("shoald: compare-and-swap by If-Match, lists by pages and labels")
def conventions():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        for number in range(5):
            daemon.create(BUSYBOX, "true", name=f"m-{number}", labels={"parity": "odd" if number % 2 else "even"})
        first = daemon.done("GET", "/v1/microvms?limit=2")
        rest = daemon.done("GET", f"/v1/microvms?limit=10&after={first['next']}")
        names = [item["name"] for item in first["items"] + rest["items"]]
        expect(names == [f"m-{number}" for number in range(5)] and rest["next"] is None, f"{names}")
        odd = daemon.done("GET", "/v1/microvms?label=parity=odd")["items"]
        expect([item["name"] for item in odd] == ["m-1", "m-3"], f"{odd}")
        connection = daemon.api.connect()
        old = daemon.microvm("m-0")
        changed = daemon.done("PUT", "/v1/microvms/m-0", {**old["spec"], "labels": {"parity": "none"}})
        expect(changed["resource_version"] > old["resource_version"], f"{changed}")
        connection.request("DELETE", "/v1/microvms/m-0", headers={"If-Match": f'"{old["resource_version"]}"'})
        answer = connection.getresponse()
        expect(answer.status == 412, f"{answer.status}")
        connection.close()


@test("shoald: a second daemon on the same folders is refused, and so are bad options", needs_kvm=False)
def refuses_options():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        second = run([SHOALD, "--run-dir", daemon.run_dir, "--state-dir", daemon.state_dir])
        expect_refused(second, "another shoald", program="shoald")
        third = run([SHOALD, "--run-dir", f"{folder}/other", "--state-dir", daemon.state_dir])
        expect_refused(third, "store.sqlite", program="shoald")
        expect_refused(run([SHOALD, "--host", "No Name"]), "--host", program="shoald")


@test("shoald: output beyond the log's limit makes room for the newest, and is followed as it comes")
def logs():
    with temporary_folder() as folder, Daemon(folder, "--log-limit", "65536") as daemon:
        program = "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done; echo end"
        daemon.create(BUSYBOX, "sh", "-c", program, name="talks")
        followed = daemon.log("talks", "?follow=true")
        expect(followed.endswith(b"line 59999\nend\n"), f"{followed[-100:]!r}")
        kept = daemon.log("talks")
        expect(65536 <= len(kept) <= 4 * 65536 and followed.endswith(kept), f"{len(kept)} bytes are kept")


@test("shoald: nothing is started on memory that the host has reserved, and the reason says so")
def short_of_memory():
    available_mib = next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    total_mib = next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    reserved_mib = (available_mib + total_mib) // 2
    options = ("--reserved-memory", str(reserved_mib), "--memory-overcommit", "100")
    with temporary_folder() as folder, Daemon(folder, *options) as daemon:
        daemon.create(*SLEEP, name="waits", memory_mib=32)
        reason = daemon.wait(lambda: daemon.microvm("waits")["status"]["reason"], "the reason")
        expect("MiB available" in reason and str(reserved_mib) in reason, reason)
        daemon.done("DELETE", "/v1/microvms/waits")
        daemon.wait_gone("waits")
