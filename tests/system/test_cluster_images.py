"""shoald on several hosts: images that one of them has imported, and the others get from it."""
import pathlib

from cluster import Cluster, with_certificates
from daemon import descriptors
from harness import expect, temporary_folder, test
from test_shoald_images import SHELL, add, folders, make_layout

SLEEP = ["sleep", "1000"]
COUNT = ["sh", "-c", "n=0; while :; do n=$((n + 1)); busybox cat /srv/greeting; echo $n; busybox sleep 0.05; done"]


def start(host, name, arguments=None, **more):
    host.done("POST", "/v1/microvms", {"name": name, "image": "i", "memory_mib": 32, "arguments": arguments or SLEEP, **more})


def forget(host, *names):
    for name in names:
        host.done("DELETE", f"/v1/microvms/{name}?grace_s=0")
        host.wait_gone(name)


def hosts_with(host):
    return host.request("GET", "/v1/images/i")[1].get("hosts")


@test("cluster: microVMs go where their image is; a host without it fetches it once, and all delete it with its record")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        one, two = cluster.hosts
        digest = add(two, make_layout(folder, *SHELL))["spec"]["digest"]
        one.wait(lambda: hosts_with(one) == ["h1"], "who has it")
        names = [f"a-{number}" for number in range(3)]
        for name in names:
            start(one, name)
        for name in names:
            expect(one.wait_phase(name, "running")["status"]["host"] == "h1", "it is where the image is")
        expect(folders(one) == [], "it was fetched for nobody")
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
        for name in ("b-0", "b-1"):
            start(one, name)
        for name in ("b-0", "b-1"):
            expect(one.wait_phase(name, "running")["status"]["host"] == "h0", "its host")
        one.wait(lambda: hosts_with(one) == ["h0", "h1"], "both to have it")
        expect(folders(one) == folders(two) == [digest], f"{folders(one)} {folders(two)}")
        detail = one.refused(409, "DELETE", "/v1/images/i")
        expect("in use by microVM a-0" in detail, detail)
        forget(one, *names, "b-0", "b-1")
        one.done("DELETE", "/v1/images/i")
        one.wait(lambda: not folders(one) + folders(two), "its files to go everywhere")
        one.wait(lambda: not cluster.etcd.list("/copies/"), "the records of them")


@test("cluster: an image that arrives damaged is not used, and the microVM says so; whole again it is")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        one, two = cluster.hosts
        digest = add(one, make_layout(folder, *SHELL))["spec"]["digest"]
        root = one.state_dir / "images" / digest / "root.erofs"
        whole = root.read_bytes()
        with open(root, "r+b") as file:
            file.seek(4096)
            file.write(b"damage")
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        start(one, "m")
        reason = one.wait(lambda: "SHA-256" in one.microvm("m")["status"]["reason"] and one.microvm("m")["status"]["reason"],
                          "the reason")
        expect("the files of image i are not on this host: it cannot be fetched: host h0: " in reason, reason)
        expect(folders(two) == [], f"{folders(two)}")
        root.write_bytes(whole)
        one.wait_phase("m", "running")
        expect(folders(two) == [digest], f"{folders(two)}")
        forget(one, "m")
        one.done("DELETE", "/v1/images/i")


@test("cluster: a microVM of an image leaves its host while it runs, and has its root from the other one's disk")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        one, two = cluster.hosts
        add(one, make_layout(folder, *SHELL))
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
        start(one, "m", COUNT)
        one.wait_phase("m", "running")
        one.wait(lambda: b"\n3\n" in one.log("m"), "its output")
        one.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "enabled"})
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "draining"})
        one.wait(lambda: one.microvm("m")["status"]["host"] == "h1", "it to leave")
        one.wait(lambda: not one.run_folders(), "its process to go")
        seen = len(two.log("m"))
        two.wait(lambda: b"from the image" in two.log("m")[seen:], "it to read its root there")
        numbers = two.wait(lambda: [int(word) for word in two.log("m").split() if word.isdigit()], "it to count on")
        expect(numbers[0] > 3, f"it began anew: {numbers[:5]}")
        roots = {name for pid in two.processes() for name in descriptors(pathlib.Path(f"/proc/{pid}")) if "root.erofs" in name}
        expect(roots and all(name.startswith(str(two.state_dir)) for name in roots), f"{roots}")
        forget(one, "m")
        one.done("DELETE", "/v1/images/i")
