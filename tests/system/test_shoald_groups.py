"""shoald: groups are kept at their count."""
import json
import os

from daemon import Daemon
from harness import BUSYBOX, SHOAL, expect, run, temporary_folder, test
from test_shoald_kills import microvm_processes

DATA = {"name": "data", "size_mib": 1}
SLEEPER = {"program": BUSYBOX, "arguments": ["sleep", "1000"], "memory_mib": 32}


def wait_members(daemon, name, **members):
    wanted = {"running": 0, "pending": 0, "ended": 0, "deleting": 0, **members}
    daemon.wait(lambda: daemon.done("GET", f"/v1/groups/{name}")["members"] == wanted, f"{name} to have {wanted}")


@test("shoald: a group is scaled up and down, its killed member replaced, and it goes as a whole")
def groups():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("POST", "/v1/groups", {"name": "web", "count": 3, "microvm": SLEEPER})
        wait_members(daemon, "web", running=3)
        scaled = run([SHOAL, "scale", "web", "5", "--socket", daemon.socket])
        expect(scaled.out == b"group web scaled to 5\n", f"{scaled}")
        wait_members(daemon, "web", running=5)
        before = daemon.microvm("web-2")["created"]
        os.kill(microvm_processes(daemon)["web-2"][0], 9)
        daemon.wait(lambda: daemon.request("GET", "/v1/microvms/web-2")[1].get("created", before) != before,
                    "web-2 to be replaced")
        wait_members(daemon, "web", running=5)
        daemon.kill()
        daemon.start()
        wait_members(daemon, "web", running=5)
        run([SHOAL, "scale", "web", "1", "--socket", daemon.socket])
        wait_members(daemon, "web", running=1)
        expect([item["name"] for item in daemon.list()] == ["web-0"], f"{daemon.list()}")
        table = run([SHOAL, "get", "groups", "--socket", daemon.socket]).out.decode().splitlines()
        expect(table[1].split()[:3] == ["web", "1", "1"], f"{table}")
        daemon.done("DELETE", "/v1/groups/web")
        daemon.wait(lambda: not daemon.list(), "its members to go")
        daemon.wait(lambda: not daemon.processes(), "their processes to go")


@test("shoald: each member of a group has a volume, which the next of its name gets, and which goes with the group")
def volumes():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        # What the disk has is said, then one more letter is written.
        script = f"a=$({BUSYBOX} head -c 4 /dev/vda); echo has $a; echo ${{a}}x > /dev/vda; {BUSYBOX} sync; exec {BUSYBOX} sleep 1000"
        group = {"name": "db", "count": 2, "volumes": [DATA],
                 "microvm": {"program": BUSYBOX, "arguments": ["sh", "-c", script], "memory_mib": 32}}
        daemon.done("POST", "/v1/groups", group)
        wait_members(daemon, "db", running=2)

        def says(name, words):
            daemon.wait(lambda: daemon.log(name).split() == words, f"{name} to say {words}, not {daemon.log(name)}")

        for name in ("db-0", "db-1"):
            says(name, [b"has"])
            volume = daemon.done("GET", f"/v1/volumes/{name}-data")
            expect(volume["spec"]["group"] == "db" and volume["attached_to"] == name, f"{volume}")
        before = daemon.microvm("db-1")["created"]
        daemon.wait(lambda: b"x" in (daemon.state_dir / "volumes" / "db-1-data.raw").read_bytes()[:2], "db-1 to write")
        daemon.done("DELETE", "/v1/microvms/db-1?grace_s=0")
        daemon.wait(lambda: daemon.request("GET", "/v1/microvms/db-1")[1].get("created", before) != before, "another db-1")
        says("db-1", [b"has", b"x"])
        detail = daemon.refused(422, "PUT", "/v1/groups/db", {**group, "volumes": [{**DATA, "size_mib": 2}]})
        expect("cannot be changed" in detail, detail)
        daemon.wait(lambda: b"xx" in (daemon.state_dir / "volumes" / "db-1-data.raw").read_bytes()[:3], "db-1 to write")
        daemon.done("PUT", "/v1/groups/db", {**group, "count": 1})
        daemon.wait_gone("db-1")
        expect(daemon.done("GET", "/v1/volumes/db-1-data")["attached_to"] is None, "it goes with its member")
        daemon.done("PUT", "/v1/groups/db", group)
        wait_members(daemon, "db", running=2)
        says("db-1", [b"has", b"xx"])
        daemon.done("DELETE", "/v1/groups/db")
        daemon.wait(lambda: not daemon.done("GET", "/v1/volumes")["items"], "its volumes to go")
        daemon.wait(lambda: not os.listdir(daemon.state_dir / "volumes"), "their files to go")


@test("shoald: what is wrong with a group is refused", needs_kvm=False)
def refusals():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        group = {"name": "g", "count": 0, "microvm": SLEEPER}
        made = daemon.done("POST", "/v1/groups", group)
        for status, method, path, body, piece in [
            (409, "POST", "/v1/groups", group, "already"),
            (400, "POST", "/v1/groups", {**group, "name": "x" * 62}, "too long"),
            (400, "POST", "/v1/groups", {**group, "count": 100001}, "100000"),
            (400, "POST", "/v1/groups", {**group, "microvm": {**SLEEPER, "name": "x"}}, "must be empty"),
            (422, "POST", "/v1/groups", {**group, "name": "h", "microvm": {**SLEEPER, "group": "x"}}, "group"),
            (400, "PUT", "/v1/groups/other", group, "path"),
            (404, "DELETE", "/v1/groups/other", None, "other"),
            (422, "POST", "/v1/microvms", {**SLEEPER, "group": "g"}, "groups"),
            (422, "POST", "/v1/groups", {**group, "name": "h", "microvm": {**SLEEPER, "volumes": ["v"]}}, "group.volumes"),
            (422, "POST", "/v1/groups", {**group, "name": "h", "volumes": [DATA, DATA]}, "twice"),
            (422, "POST", "/v1/groups", {**group, "name": "h", "volumes": [DATA], "on_suspicion": "replace"}, "replace"),
            (400, "POST", "/v1/groups", {**group, "name": "x" * 58, "volumes": [DATA]}, "65 bytes: 63 are allowed"),
            (422, "POST", "/v1/groups", {**group, "name": "h", "volumes": [{"name": "data", "size_mib": 1 << 20}],
                                         "microvm": {**SLEEPER, "on_host_failure": "restore"}}, "1 TiB"),
        ]:
            detail = daemon.refused(status, method, path, body)
            expect(piece in detail, f"{method} {path}: {piece!r} is not in {detail!r}")
        connection = daemon.api.connect()
        connection.request("PUT", "/v1/groups/g", json.dumps({**group, "count": 1}),
                           {"If-Match": str(made["resource_version"] - 1)})
        expect(connection.getresponse().status == 412, "an old If-Match counts")
        connection.close()
        daemon.done("DELETE", "/v1/groups/g")
