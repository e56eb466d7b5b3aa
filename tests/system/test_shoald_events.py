"""shoald: changes as a stream, repeated requests, backups."""
import http.client
import json
import pathlib

from daemon import FINAL, Daemon
from harness import BUSYBOX, SHOAL, expect, run, temporary_folder, test


def read_events(daemon, since, until):
    """The stream's lines after one resource_version up to another, whose last change is a single one."""
    connection = daemon.api.connect()
    connection.request("GET", f"/v1/events?since={since}")
    answer = connection.getresponse()
    events = []
    while not events or events[-1]["resource_version"] < until:
        events.append(json.loads(answer.readline()))
    connection.close()
    return events


@test("shoald: the stream of events has every change once, in order, and is resumed anywhere")
def events():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        start = daemon.done("GET", "/v1/microvms")["resource_version"]
        for name in ("a", "b"):
            daemon.create(BUSYBOX, "true", name=name)
        for name in ("a", "b"):
            daemon.wait_phase(name, *FINAL)
        end = daemon.done("GET", "/v1/microvms")["resource_version"]
        everything = read_events(daemon, start, end)
        versions = [event["resource_version"] for event in everything]
        expect(sorted(set(versions)) == list(range(start + 1, end + 1)), f"{versions} from {start} to {end}")
        ours = [event for event in everything if event["name"] == "a"]
        kinds = [event["kind"] for event in ours]
        expect(kinds[:2] == ["microvms", "placements"] and ours[-1]["object"]["phase"] == "succeeded", f"{ours}")
        daemon.kill()
        daemon.start()
        for since in range(start, end):
            rest = [event for event in everything if event["resource_version"] > since]
            expect(read_events(daemon, since, end) == rest, f"resumed after {since} it is different")
        daemon.done("DELETE", "/v1/microvms/a")
        daemon.wait_gone("a")
        gone = read_events(daemon, end, end + 2)
        expect([event["type"] for event in gone] == ["put", "deleted"], f"{gone}")


@test("shoald: a creation repeated with its Idempotency-Key makes one microVM", needs_kvm=False)
def idempotency():
    with temporary_folder() as folder, Daemon(folder, "--max-microvms", "0") as daemon:

        def post(key, **more):
            connection = daemon.api.connect()
            connection.request("POST", "/v1/microvms", json.dumps({"program": BUSYBOX, **more}), {"Idempotency-Key": key})
            answer = connection.getresponse()
            status, document = answer.status, json.loads(answer.read())
            connection.close()
            return status, document

        first, again, other = post("k1"), post("k1"), post("k2")
        expect(first[0] == 201 and again[0] == 201 and first[1]["name"] == again[1]["name"], f"{first} {again}")
        expect(other[1]["name"] != first[1]["name"] and len(daemon.list()) == 2, f"{other}")
        expect(post("k1", memory_mib=64)[0] == 409, "another body under the same key")
        expect(post("x" * 256)[0] == 400, "a key that is too long")


@test("shoald: a backup is a whole store, from which another shoald starts", needs_kvm=False)
def backup():
    with temporary_folder() as folder:
        copy = pathlib.Path(folder) / "other/state/store.sqlite"
        copy.parent.mkdir(parents=True)
        with Daemon(folder, "--max-microvms", "0") as daemon:
            daemon.create(BUSYBOX, "true", name="kept")
            said = run([SHOAL, "backup", copy, "--socket", daemon.socket])
            expect(said.code == 0 and str(copy) in said.out.decode(), f"{said}")
            daemon.refused(400, "POST", "/v1/backup", {"path": "relative"})
            daemon.refused(503, "POST", "/v1/backup", {"path": f"{folder}/none/x"})
        with Daemon(copy.parent.parent, "--max-microvms", "0") as other:
            expect([item["name"] for item in other.list()] == ["kept"], f"{other.list()}")
