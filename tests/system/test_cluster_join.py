"""shoal init, token and join: how hosts come to their certificates."""
import datetime
import os
import shutil
import stat
import time

from certificates import openssl, shorten
from cluster import Cluster
from etcd import free_ports
from harness import BUSYBOX, SHOAL, expect, run, temporary_folder, test


def files_of(folder, name):
    return os.path.join(folder, f"keys-{name}")


def join(folder, name, token, port, keys=None):
    return run([SHOAL, "join", token, f"127.0.0.1:{port}", "--dir", keys or files_of(folder, name), "--host", name,
                "--address", "127.0.0.1"])


def new_token(host, *words):
    said = run([SHOAL, "token", "--socket", host.socket, *words])
    expect(said.code == 0, f"{said}")
    return said.out.decode().strip()


def first_host(folder, port):
    """Options of a cluster's hosts, the first of which has the authority."""
    said = run([SHOAL, "init", "--dir", files_of(folder, "h0"), "--host", "h0", "--address", "127.0.0.1"])
    expect(said.code == 0 and b"--peer-ca-key" in said.out, f"{said}")

    def options(name):
        keys = files_of(folder, name)
        own = ["--peer-ca-key", f"{keys}/ca.key", "--join-port", str(port)] if name == "h0" else []
        return ["--address", "127.0.0.1", "--peer-port", "0", "--peer-ca", f"{keys}/ca.pem", "--peer-cert", f"{keys}/host.pem",
                "--peer-key", f"{keys}/host.key", *own]

    return options


@test("cluster: a host joins with a token, which is good for one host, and the others know it by its certificate")
def _():
    port = free_ports(1)[0]
    with temporary_folder() as folder, Cluster(folder, 1, options=first_host(folder, port)) as cluster:
        host = cluster.hosts[0]
        token = new_token(host)
        said = join(folder, "h1", token, port)
        expect(said.code == 0, f"{said}")
        for name, key in (("h0", "ca.key"), ("h0", "host.key"), ("h1", "host.key")):
            mode = stat.S_IMODE(os.stat(os.path.join(files_of(folder, name), key)).st_mode)
            expect(mode == 0o600, f"{key} of {name} has mode {mode:o}")
        expect(not os.path.exists(os.path.join(files_of(folder, "h1"), "ca.key")), "the authority's key has left its host")
        again = join(folder, "h2", token, port)
        expect(again.code != 0 and b"used up" in again.err, f"{again}")
        cluster.add("h1")
        host.wait(lambda: cluster.all_alive(2), "both to be alive")
        host.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        host.create(BUSYBOX, "echo", "hello", name="m", restart="never")
        host.wait_phase("m", "succeeded")
        host.wait(lambda: host.log("m").strip() == b"hello", "its output, from the other host")
        expect(not cluster.etcd.list("/join-tokens/"), "a token that is used up is kept")
        refused = join(folder, "h1", new_token(host), port, keys=files_of(folder, "other"))
        expect(refused.code != 0 and b"there is a host h1 already" in refused.err, f"{refused}")
        present = join(folder, "h3", new_token(host), port, keys=files_of(folder, "h1"))
        expect(present.code != 0 and b"is there already" in present.err, f"{present}")


@test("cluster: nobody joins with a token that is wrong, of another cluster, or expired")
def _():
    port = free_ports(1)[0]
    with temporary_folder() as folder, Cluster(folder, 1, options=first_host(folder, port)) as cluster:
        host = cluster.hosts[0]
        token = new_token(host, "--uses", "1000", "--ttl", "2")
        fingerprint, secret = token.split(".")
        for wrong, why in ((f"{fingerprint}.{secret[::-1]}", b"not known"), (f"{fingerprint[::-1]}.{secret}", b"not of the cluster"),
                           (secret, b"no token"), (fingerprint, b"no token")):
            said = join(folder, "h1", wrong, port)
            expect(said.code != 0 and why in said.err, f"{wrong}: {said}")
        # Its own name is refused for as long as the token is good.
        host.wait(lambda: b"expired" in join(folder, "h0", token, port, keys=files_of(folder, "x")).err, "it to expire")
        said = join(folder, "h1", token, port)
        expect(said.code != 0 and b"expired" in said.err, f"{said}")
        expect(not os.listdir(files_of(folder, "h1")), f"left: {os.listdir(files_of(folder, 'h1'))}")
        values = [value for key, value in cluster.etcd.list("/").items() if secret in key + value]
        expect(not values, f"the store knows the secret: {values}")
        host.refused(400, "POST", "/v1/join-tokens", {"uses": 1001})
        host.refused(400, "POST", "/v1/join-tokens", {"ttl_s": 3601})


@test("cluster: certificates that are about to expire are renewed while shoald runs, and hosts go on talking")
def _():
    port = free_ports(1)[0]
    with temporary_folder() as folder:
        options = first_host(folder, port)
        keys = {name: files_of(folder, name) for name in ("h0", "h1")}
        old_ends = shorten(keys["h0"], keys["h0"], left_s=10)
        with Cluster(folder, 1, options=options) as cluster:
            host = cluster.hosts[0]
            said = join(folder, "h1", new_token(host), port)
            expect(said.code == 0, f"{said}")
            old_ends = max(old_ends, shorten(keys["h0"], keys["h1"], left_s=15))
            second = cluster.add("h1")
            pids = [each.process.pid for each in cluster.hosts]

            def expires(name):
                moment = host.done("GET", f"/v1/hosts/{name}")["spec"]["certificate_expires"]
                return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() if moment else 0

            host.wait(lambda: cluster.all_alive(2), "both to be alive")
            host.create(BUSYBOX, "sleep", "1000", name="moves", memory_mib=32)
            left = host.wait_phase("moves", "running")["status"]["host"]
            for name in keys:
                host.wait(lambda name=name: expires(name) > old_ends + 300 * 86400, f"the certificate of {name} to be renewed")
            described = run([SHOAL, "describe", "host", "h1", "--socket", host.socket])
            expect(b"certificate_expires: 20" in described.out and b"authority_expires: 20" in described.out, f"{described}")
            host.wait(lambda: time.time() > old_ends + 1, "the old ones to expire")
            host.done("PUT", f"/v1/hosts/{left}/scheduling", {"scheduling": "draining"})
            host.wait(lambda: host.microvm("moves")["status"]["host"] != left, "what was started before to move with the new ones")
            host.done("PUT", f"/v1/hosts/{left}/scheduling", {"scheduling": "enabled"})
            host.done("DELETE", "/v1/microvms/moves?grace_s=0")
            host.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
            host.create(BUSYBOX, "echo", "hello", name="m", restart="never")
            host.wait_phase("m", "succeeded")
            host.wait(lambda: host.log("m").strip() == b"hello", "its output, from the other host")
            host.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "enabled"})
            host.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "cordoned"})
            host.create(BUSYBOX, "echo", "back", name="n", restart="never")
            host.wait_phase("n", "succeeded")
            host.wait(lambda: second.log("n").strip() == b"back", "its output, asked the other way")
            expect(join(folder, "h2", new_token(host), port).code == 0, "nobody joins with the new certificate")
            expect([each.process.pid for each in cluster.hosts] == pids, "a shoald was started again")
            # The authority's certificate, made anew as controlplane/pki/README.md says; one host has it first.
            before = host.done("GET", "/v1/hosts/h1")["spec"]["authority_expires"]
            openssl(keys["h0"], "x509", "-in", "ca.pem", "-signkey", "ca.key", "-days", "5000", "-out", "new.pem")
            shutil.copy(os.path.join(keys["h0"], "new.pem"), os.path.join(keys["h1"], "ca.pem"))
            second.kill()
            second.start()
            host.wait(lambda: host.done("GET", "/v1/hosts/h1")["spec"]["authority_expires"] > before, "the new one to be told")
            host.wait(lambda: host.log("m").strip() == b"hello" and second.log("n").strip() == b"back", "both to talk")
