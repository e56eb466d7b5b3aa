"""What the VMMs that shoald starts may open by name: their microVM's files, and nobody else's."""
import os

from api import Api
from cluster import Cluster, with_certificates
from harness import BUSYBOX, expect, temporary_folder, test
from test_jail import has_landlock
from test_shoald_templates import WAITS, clone, make

SNAPSHOT = "/snapshot/create"
REFUSED = "Permission denied"


def folder_of(host, name):
    return next((host.run_dir / "microvms").glob(f"{name}@*"))


def expect_confined(host, name, *foreign):
    """Its VMM writes a snapshot where its own are, and into none of these folders. Its API."""
    run_folder = folder_of(host, name)
    api = Api(run_folder / "api")
    saves = host.state_dir / "saves" / run_folder.name

    def files(place):
        return {"snapshot_path": str(place / "s"), "mem_file_path": str(place / "m"), "resume_vm": True}

    for place in (host.state_dir, host.run_dir, host.state_dir / "saves", *foreign):
        fault = api.fault("PUT", SNAPSHOT, files(place))
        expect(REFUSED in fault, f"{place}: {fault}")
        expect(not (place / "s").exists() and not (place / "m").exists(), f"{name} wrote to {place}")
    api.put(SNAPSHOT, **files(saves))
    host.wait(lambda: api.get(SNAPSHOT)["state"] != "Writing", "the snapshot")
    expect(sorted(os.listdir(saves)) == ["m", "s"], f"{api.get(SNAPSHOT)} {os.listdir(saves)}")
    return api


def expect_no_disk_of(host, name, *foreign):
    """Its VMM, which has a volume, opens none of these files."""
    api = Api(folder_of(host, name) / "api")
    for path in foreign:
        expect(os.path.exists(path), f"{path}")
        # One that is just being saved says so first.
        host.wait(lambda path=path: REFUSED in api.fault("PATCH", "/drives/disk0", {"drive_id": "disk0", "path_on_host": str(path)}),
                  f"{path} to be refused")


@test("cluster: the VMM of a program, of a clone, and of one that has moved opens its own files, and no others'")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        if not has_landlock():
            print("        this kernel has no Landlock")
            return
        one, two = cluster.hosts
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
        for volume in ("v", "w"):
            one.done("POST", "/v1/volumes", {"name": volume, "size_mib": 1})
        one.create(BUSYBOX, "sleep", "1000", name="a", memory_mib=32, volumes=["v"])
        template = one.state_dir / "templates" / make(one, "t", BUSYBOX, *WAITS)["spec"]["digest"]
        clone(one, "c")
        for name in ("a", "c"):
            one.wait_phase(name, "running")

        api = expect_confined(one, "a", folder_of(one, "c"), one.folder.parent)
        volumes = one.state_dir / "volumes"
        expect_no_disk_of(one, "a", volumes / "w.raw", template / "memory", one.state_dir / "logs" / "c.log", "/etc/passwd",
                          cluster.folder / "ca.key")
        api.patch("/drives/disk0", drive_id="disk0", path_on_host=str(volumes / "v.raw"))

        # It is the first one: it may write down what it uses of the template, and not change that.
        expect_confined(one, "c", folder_of(one, "a"), template, volumes)
        clone(one, "d")
        one.wait_phase("d", "running")
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "enabled"})
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "draining"})
        for name in ("c", "d"):
            one.wait(lambda name=name: one.microvm(name)["status"]["host"] == "h1", f"{name} to leave, over TLS")
        expect_confined(two, "c", folder_of(two, "d"), one.state_dir)
        one.wait(lambda: [path.name for path in (one.state_dir / "saves").iterdir()] == [folder_of(one, "a").name],
                 "what was of those that left to go")
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "enabled"})
        two.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "draining"})
        two.wait(lambda: two.microvm("d")["status"]["host"] == "h0", "it to come back from a VMM that has received it")
        for name in ("a", "c", "d"):
            one.done("DELETE", f"/v1/microvms/{name}?grace_s=0")
            one.wait_gone(name)
        for volume in ("v", "w"):
            one.done("DELETE", f"/v1/volumes/{volume}")
        one.done("DELETE", "/v1/templates/t")
        for host in cluster.hosts:
            expect(not os.listdir(host.state_dir / "saves"), f"{host.name} has left {os.listdir(host.state_dir / 'saves')}")
