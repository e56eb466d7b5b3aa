"""Volumes on storage that several hosts reach: their microVMs move, and start again elsewhere, with what is on them."""
import os
import re

from cluster import PLAIN, Cluster
from harness import PROGRAMS, expect, temporary_folder, test
from ram_disk import direct_folder

LEDGER = str(PROGRAMS / "ledger")
NAME = "db-0"
DISK_MIB = 64


def said(host):
    """What the ledger has written on a host: the counts, and what each of its starts has found on the volume."""
    try:
        text = (host.state_dir / "logs" / f"{NAME}.log").read_text(errors="replace")
    except FileNotFoundError:
        return [], []
    expect("broken" not in text, text[text.find("broken"):][:200])
    return [[int(number) for number in re.findall(rf"^{word}(\d+)\r?$", text, re.M)] for word in ("count=", "begins with ")]


def wait_for_counts(cluster, host, more):
    begun = len(said(host)[0])
    cluster.hosts[-1].wait(lambda: len(said(host)[0]) >= begun + more, f"the ledger to go on on {host.name}")


def expect_refused(host, what, volume):
    detail = host.refused(422, "POST", "/v1/volumes", {"name": "a", "size_mib": 1, **volume})
    expect(what in detail, detail)


@test("cluster: a microVM with a volume on shared storage moves and starts again elsewhere with it, and it goes with its group")
def _():
    with temporary_folder() as folder, direct_folder(folder, DISK_MIB) as storage:
        reach = ("--storage", f"disks={storage}")
        with Cluster(folder, 3, options=lambda name: [*PLAIN, *(reach if name != "h2" else ())]) as cluster:
            *both, asked = cluster.hosts
            expect_refused(asked, "host h2 does not reach storage disks", {"storage": "disks"})
            cluster.group("db", 1, program=(LEDGER,), microvm={"memory_mib": 64},
                          volumes=[{"name": "data", "size_mib": 16, "storage": "disks"}])
            first = cluster.host(cluster.wait_for_members(asked, "db", 1)[NAME])
            second = next(host for host in both if host is not first)
            wait_for_counts(cluster, first, 20)

            asked.done("PUT", f"/v1/hosts/{first.name}/scheduling", {"scheduling": "draining"})
            cluster.wait_for_members(asked, "db", 1, but=[first.name, asked.name])
            wait_for_counts(cluster, second, 20)
            expect(said(first)[1] == [0] and not said(second)[1], "it has begun anew")
            volume = asked.done("GET", f"/v1/volumes/{NAME}-data")
            expect(volume["spec"]["host"] == second.name and volume["attached_to"] == NAME, f"{volume}")

            second.kill_host()  # The other one still is left out.
            wanted = "3 hosts: 1 silent, 1 draining, 1 without the storage of its volumes"
            asked.wait(lambda: asked.microvm(NAME)["status"]["reason"] == wanted, f"{wanted!r} to be the reason")
            asked.done("PUT", f"/v1/hosts/{first.name}/scheduling", {"scheduling": "enabled"})
            cluster.wait_for_members(asked, "db", 1, but=[second.name, asked.name])
            asked.wait(lambda: len(said(first)[1]) == 2, "it to begin again")
            expect(said(first)[1][1] >= said(second)[0][-1], f"it begins with {said(first)[1]}, and had {said(second)[0][-1]}")
            volume = asked.done("GET", f"/v1/volumes/{NAME}-data")
            expect(volume["spec"]["host"] == first.name, f"{volume}")
            second.start()
            cluster.wait_for_return(asked, second)
            wait_for_counts(cluster, first, 20)

            asked.done("DELETE", "/v1/groups/db")
            asked.wait(lambda: not cluster.etcd.list("/volumes/"), "the volume to go")
            asked.wait(lambda: not os.listdir(storage), "its file to go")


@test("cluster: a volume on shared storage is deleted by its host, or by another one when that host is no more")
def _():
    with temporary_folder() as folder, direct_folder(folder, DISK_MIB) as storage:
        with Cluster(folder, 2, options=(*PLAIN, "--storage", f"disks={storage}")) as cluster:
            one, two = cluster.hosts
            two.done("POST", "/v1/volumes", {"name": "left", "size_mib": 1, "storage": "disks"})
            expect(os.listdir(storage) == ["left.raw"], f"{os.listdir(storage)}")
            one.wait(lambda: one.request("GET", "/v1/volumes/left")[0] == 200, "the volume to be known")
            detail = one.refused(409, "POST", "/v1/volumes", {"name": "left", "size_mib": 1, "storage": "disks"})
            expect("there is a volume left already" in detail, detail)
            detail = one.refused(422, "PUT", "/v1/volumes/left", {"name": "left", "size_mib": 1})
            expect(detail == "the storage of volume left cannot be changed", detail)
            detail = one.refused(422, "POST", "/v1/microvms", {"program": LEDGER, "volumes": ["left"], "on_host_failure": "restore"})
            expect("volume left is on a storage" in detail, detail)
            detail = one.refused(409, "DELETE", "/v1/volumes/left")
            expect(detail == "volume left is on host h1", detail)

            two.kill_host()
            one.wait(lambda: one.done("GET", "/v1/hosts/h1")["health"] == "lost", "the host to be dead")
            one.done("DELETE", "/v1/hosts/h1")
            one.wait(lambda: one.request("GET", "/v1/hosts/h1")[0] == 404, "it to be forgotten")
            one.done("DELETE", "/v1/volumes/left")
            expect(not os.listdir(storage), f"{os.listdir(storage)}")
            two.start()
            one.wait(lambda: cluster.all_alive(2), "it to come back")
