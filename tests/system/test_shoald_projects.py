"""shoald: what a project may have."""
import concurrent.futures

from daemon import Daemon
from harness import BUSYBOX, SHOAL, expect, run, temporary_folder, test

SLEEP = {"program": BUSYBOX, "arguments": ["sleep", "1000"], "memory_mib": 32, "project": "p"}


@test("shoald: a project has no more microVMs, memory and CPUs than it may have, and its usage is readable")
def limits():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("PUT", "/v1/projects/p", {"name": "p", "microvms": 5, "memory_mib": 200, "vcpus": 6})
        daemon.done("POST", "/v1/microvms", {**SLEEP, "name": "a"})
        daemon.done("POST", "/v1/groups", {"name": "g", "count": 2, "microvm": SLEEP})
        used = daemon.done("GET", "/v1/projects/p")["used"]
        expect(used == {"microvms": 3, "memory_mib": 96, "vcpus": 3}, f"{used}")
        cases = [
            ("POST", "/v1/microvms", {**SLEEP, "memory_mib": 105}, "may have 200 MiB of memory, and has 96: 105 more"),
            ("POST", "/v1/microvms", {**SLEEP, "vcpus": 4}, "6 virtual CPUs, and has 3: 4 more"),
            ("PUT", "/v1/microvms/b", {**SLEEP, "memory_mib": 105}, "200 MiB"),
            ("POST", "/v1/groups", {"name": "h", "count": 3, "microvm": SLEEP}, "5 microVMs, and has 3: 3 more"),
            ("PUT", "/v1/groups/g", {"name": "g", "count": 5, "microvm": SLEEP}, "5 microVMs, and has 3: 3 more"),
        ]
        for method, path, body, piece in cases:
            detail = daemon.refused(403, method, path, body)
            expect(piece in detail, f"{piece!r} is not in {detail!r}")
        daemon.done("POST", "/v1/microvms", {**SLEEP, "project": "other", "memory_mib": 400})
        daemon.done("PUT", "/v1/groups/g", {"name": "g", "count": 4, "microvm": SLEEP})
        daemon.refused(403, "POST", "/v1/microvms", SLEEP)
        daemon.done("PUT", "/v1/projects/p", {"name": "p", "microvms": 1})
        daemon.done("PUT", "/v1/groups/g", {"name": "g", "count": 3, "microvm": SLEEP})  # less is never too much
        table = run([SHOAL, "get", "projects", "--socket", daemon.socket]).out.decode()
        expect([line.split() for line in table.splitlines()[1:]] == [["other", "1", "-", "400", "-", "1", "-"],
                                                                    ["p", "4", "1", "128", "-", "4", "-"]], table)
        daemon.done("DELETE", "/v1/projects/p")
        daemon.done("POST", "/v1/microvms", SLEEP)
        daemon.done("DELETE", "/v1/groups/g")


@test("shoald: many that ask at once get no more than the project may have")
def at_once():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("PUT", "/v1/projects/p", {"name": "p", "microvms": 5})
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: daemon.request("POST", "/v1/microvms", SLEEP)[0], range(40)))
        expect(sorted(answers) == [201] * 5 + [403] * 35, f"{answers}")
        name = daemon.list()[0]["name"]
        daemon.done("DELETE", f"/v1/microvms/{name}?grace_s=0")
        daemon.wait_gone(name)
        daemon.done("POST", "/v1/microvms", SLEEP)
        daemon.refused(403, "POST", "/v1/microvms", SLEEP)
