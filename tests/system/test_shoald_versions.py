"""shoald: whoever has seen an older version of an object changes and deletes nothing."""
import contextlib
import json

from daemon import Daemon
from harness import BUSYBOX, expect, temporary_folder, test
from test_shoald_templates import make

SLEEPER = {"program": str(BUSYBOX), "arguments": ["sleep", "1000"], "memory_mib": 32}


def ask_if(daemon, version, method, path, body):
    """The status of a request that counts only for this version."""
    with contextlib.closing(daemon.api.connect()) as connection:
        connection.request(method, path, body and json.dumps(body), {"If-Match": f'"{version}"'})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def expect_guarded(daemon, path, method, target, body=None):
    """Refused with an old version, and with one that was never there; done with the one that is."""
    before = daemon.done("GET", path)
    version = before["resource_version"]
    for other in (version - 1, version + 1):
        status = ask_if(daemon, other, method, target, body)
        expect(status == 412, f"{method} {target} if {other}, not {version}: {status}")
    expect(daemon.done("GET", path)["spec"] == before["spec"], f"{method} {target} was done")
    status = ask_if(daemon, version, method, target, body)
    expect(200 <= status < 300, f"{method} {target} if {version}: {status}")


@test("shoald: If-Match guards every change and every deletion of every kind of object")
def _():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("POST", "/v1/microvms", {"name": "m", **SLEEPER})
        daemon.done("POST", "/v1/groups", {"name": "g", "count": 0, "microvm": SLEEPER})
        daemon.done("POST", "/v1/networks", {"name": "n", "subnet": "10.79.1.0/24"})
        daemon.done("POST", "/v1/volumes", {"name": "v", "size_mib": 1})
        daemon.done("POST", "/v1/projects", {"name": "p", "microvms": 10})
        make(daemon, "t", BUSYBOX, "sh", "-c", "read words < /dev/clone")
        host = daemon.wait(lambda: daemon.done("GET", "/v1/hosts")["items"], "the host to be there")[0]["name"]
        changes = [
            ("/v1/microvms/m", "", {**daemon.microvm("m")["spec"], "labels": {"a": "b"}}),
            ("/v1/groups/g", "", {"name": "g", "count": 0, "microvm": {**SLEEPER, "memory_mib": 64}}),
            ("/v1/projects/p", "", {"name": "p", "microvms": 11}),
            (f"/v1/hosts/{host}", "/scheduling", {"scheduling": "cordoned"}),
        ]
        for path, more, body in changes:
            expect_guarded(daemon, path, "PUT", path + more, body)
        for kind in ("microvms/m", "groups/g", "networks/n", "volumes/v", "projects/p", "templates/t"):
            expect_guarded(daemon, f"/v1/{kind}", "DELETE", f"/v1/{kind}")
        for kind in ("microvms", "groups"):
            status = ask_if(daemon, 7, "PUT", f"/v1/{kind}/none", {"name": "none", **SLEEPER} if kind == "microvms" else
                            {"name": "none", "count": 0, "microvm": SLEEPER})
            expect(status == 412, f"a PUT of what was to be there: {status}")
