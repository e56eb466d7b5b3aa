"""shoald: volumes, disks that outlive the microVMs that have them."""
import os

from daemon import FINAL, Daemon
from harness import BUSYBOX, SHOAL, expect, run, temporary_folder, test


def files(daemon):
    return sorted(os.listdir(daemon.state_dir / "volumes"))


def job(daemon, name, script, *volumes):
    return daemon.create(BUSYBOX, "sh", "-c", script, name=name, volumes=[*volumes])


@test("shoald: what one microVM writes to a volume the next one reads, also after kill -9 of shoald")
def outlives():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        for name in ("data", "more"):
            daemon.done("POST", "/v1/volumes", {"name": name, "size_mib": 64})
        expect(files(daemon) == ["data.raw", "more.raw"], f"{files(daemon)}")
        status = os.stat(daemon.state_dir / "volumes" / "data.raw")
        expect(status.st_size == 64 << 20 and status.st_blocks < 100, f"{status}")
        job(daemon, "writes", f"echo first > /dev/vda; echo second > /dev/vdb; {BUSYBOX} sync", "data", "more")
        ended = daemon.wait_phase("writes", *FINAL)
        expect(ended["status"]["exit_code"] == 0, f"{ended} {daemon.log('writes')}")
        daemon.kill()
        daemon.start()
        job(daemon, "reads", "read a < /dev/vda; read b < /dev/vdb; echo $a $b", "more", "data")
        daemon.wait_phase("reads", "succeeded")
        expect(daemon.log("reads") == b"second first\n", f"{daemon.log('reads')}")
        for name in ("data", "more"):
            daemon.done("DELETE", f"/v1/volumes/{name}")
        expect(files(daemon) == [], f"{files(daemon)}")


@test("shoald: a volume has one microVM at a time, and is not deleted while it has one")
def exclusive():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("POST", "/v1/volumes", {"name": "data", "size_mib": 1})
        job(daemon, "first", f"exec {BUSYBOX} sleep 1000", "data")
        daemon.wait_phase("first", "running")
        expect(daemon.done("GET", "/v1/volumes/data")["attached_to"] == "first", "who has it")
        second = {"name": "second", "program": BUSYBOX, "arguments": ["true"], "volumes": ["data"]}
        for _ in range(2):
            for method, path, body in (("POST", "/v1/microvms", second), ("DELETE", "/v1/volumes/data", None)):
                detail = daemon.refused(409, method, path, body)
                expect("attached to microVM first" in detail, detail)
            daemon.kill()
            daemon.start()
        daemon.done("DELETE", "/v1/microvms/first?grace_s=0")
        daemon.wait_gone("first")
        daemon.done("POST", "/v1/microvms", second)
        daemon.wait_phase("second", "succeeded")
        daemon.done("DELETE", "/v1/volumes/data")


@test("shoald: what is wrong with a volume is said, and what was begun before a kill is finished")
def refused():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        cases = [
            (400, "POST", "/v1/volumes", {"name": "v"}, "size_mib is missing"),
            (400, "POST", "/v1/volumes", {"name": "v", "size_mib": 1 << 40}, "16777216"),
            (400, "POST", "/v1/volumes", {"name": "../v", "size_mib": 1}, "no name"),
            (404, "DELETE", "/v1/volumes/v", None, "no volume v"),
            (422, "POST", "/v1/microvms", {"program": BUSYBOX, "volumes": ["v"]}, "no volume v"),
            (422, "POST", "/v1/microvms", {"program": BUSYBOX, "volumes": ["v", "v"]}, "twice"),
            (400, "POST", "/v1/microvms", {"program": BUSYBOX, "volumes": list("abcdefghi")}, "9 elements"),
            (422, "POST", "/v1/groups", {"name": "g", "count": 1, "microvm": {"program": BUSYBOX, "volumes": ["v"]}}, "group"),
        ]
        for status, method, path, body, piece in cases:
            detail = daemon.refused(status, method, path, body)
            expect(piece in detail, f"{piece!r} is not in {detail!r}")
        daemon.done("PUT", "/v1/volumes/v", {"name": "v", "size_mib": 1})
        expect(daemon.request("PUT", "/v1/volumes/v", {"name": "v", "size_mib": 1})[0] == 200, "applied again")
        expect("size" in daemon.refused(422, "PUT", "/v1/volumes/v", {"name": "v", "size_mib": 2}), "another size")
        expect("already" in daemon.refused(409, "POST", "/v1/volumes", {"name": "v", "size_mib": 1}), "a second v")
        table = run([SHOAL, "get", "volumes", "--socket", daemon.socket])
        expect(table.out.split()[5:7] == [b"v", b"1"], f"{table}")
        daemon.kill()
        place = daemon.state_dir / "volumes"
        os.rename(place / "v.raw", place / "v.deleted")
        (place / "half.new").write_bytes(b"")
        (place / "old.raw").write_bytes(b"data")
        daemon.start()
        expect(files(daemon) == ["old.raw", "v.raw"], f"{files(daemon)}")
        expect("does not know" in daemon.refused(409, "POST", "/v1/volumes", {"name": "old", "size_mib": 1}), "old data")
