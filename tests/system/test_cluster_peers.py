"""shoald on several hosts: what one of them has, the others get from it."""
import http.client
import signal

from cluster import WITNESS, Cluster, with_certificates
from harness import BUSYBOX, ROOT, SHOAL, expect, run, temporary_folder, test
from test_shoald_templates import WAITS, clone, folders, make

ANSWER = ROOT / "build/cluster/answer"


@test("cluster: any host shows and follows what a microVM says, and reaches its ports")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        asked = cluster.hosts[0]
        asked.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        asked.create(ANSWER, name="answer", memory_mib=32, vsock=True)
        asked.create(BUSYBOX, "sh", "-c", f"echo first; {BUSYBOX} sleep 1; echo last", name="speaker", restart="never")
        asked.wait_phase("answer", "running")
        asked.wait_phase("speaker", "running", "succeeded")
        expect(len(cluster.hosts[1].run_folders()) >= 1, "nothing is on the other host")
        status, said = asked.api.request("GET", "/v1/microvms/speaker/logs?follow=true")
        expect(status == 200 and said.split() == [b"first", b"last"], f"{status} {said}")
        expect(asked.log("speaker", f"?offset={said.index(b'last')}") == said[said.index(b"last"):], "from an offset")
        for host in cluster.hosts:
            def answers(host=host):
                status, reply = host.api.request("POST", "/v1/microvms/answer/call?port=1024", "hello")
                return status == 200 and reply.endswith(b"hello")

            host.wait(answers, f"its reply through {host.name}")
            detail = host.refused(502, "POST", "/v1/microvms/answer/call?port=9", "x")
            expect(detail == "nobody listens on port 9 of the microVM", detail)
            expect("there" in host.refused(400, "GET", "/v1/microvms/speaker/logs?what=1"), "a bad parameter")


@test("cluster: shoal top shows what microVMs use of every host, and which host does not say")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        cluster.group("web", 2, anti_affinity="host")
        members = cluster.wait_for_members(cluster.hosts[0], "web", 2)

        def top():
            shown = run([SHOAL, "top", "-n", "1", "--socket", cluster.hosts[0].socket])
            expect(shown.code == 0, f"{shown}")
            return shown.out.decode()

        rows = {line.split()[0]: line.split() for line in top().splitlines()[1:]}
        for name, host in members.items():
            expect(host in rows[name] and rows[name][3] != "-" and 0 < float(rows[name][3]) < 64, f"{rows}")
        detail = cluster.hosts[0].refused(404, "GET", "/v1/usage?host=nobody")
        expect("nobody" in detail, detail)
        silent = cluster.hosts[1]
        silent.process.send_signal(signal.SIGSTOP)
        cluster.hosts[0].wait(lambda: cluster.hosts[0].done("GET", "/v1/hosts/h1")["health"] != "alive", "h1 to be missed")
        shown = top()
        expect("not shown of host h1: host h1 is" in shown, shown)
        silent.process.send_signal(signal.SIGCONT)
        cluster.hosts[0].wait(lambda: cluster.all_alive(2), "h1 to come back")


@test("cluster: who follows a microVM of a host that dies is told, and so is who asks afterwards")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        asked, dead = cluster.hosts
        asked.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        asked.create(WITNESS, name="w", memory_mib=32)
        asked.wait_phase("w", "running")
        connection = asked.api.connect()
        connection.request("GET", "/v1/microvms/w/logs?follow=true")
        answer = connection.getresponse()
        expect(answer.status == 200 and answer.read(10), f"{answer.status}")
        dead.kill_host()
        try:
            answer.read()
            expect(False, "an answer that was cut off looks whole")
        except http.client.IncompleteRead:
            pass
        connection.close()
        detail = asked.refused(502, "GET", "/v1/microvms/w/logs")
        expect(detail.startswith("host h1 at 127.0.0.1:") and "does not answer: " in detail, detail)
        dead.start()
        cluster.wait_for_return(asked, dead)


@test("cluster: a host without a template fetches it once for all clones that wait, and deletes it with the others")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        one, two = cluster.hosts
        digest = make(one, "t", BUSYBOX, *WAITS)["spec"]["digest"]
        one.wait(lambda: one.done("GET", "/v1/templates/t")["hosts"] == ["h0"], "who has it")
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        for number in range(3):
            clone(one, f"c-{number}", "x")
        for number in range(3):
            expect(one.wait_phase(f"c-{number}", "running")["status"]["host"] == "h1", "its host")
        one.wait(lambda: one.done("GET", "/v1/templates/t")["hosts"] == ["h0", "h1"], "both to have it")
        expect(folders(two) == [digest], f"{folders(two)}")
        for number in range(3):
            one.done("DELETE", f"/v1/microvms/c-{number}?grace_s=0")
            one.wait_gone(f"c-{number}")
        one.done("DELETE", "/v1/templates/t")
        one.wait(lambda: not folders(one) + folders(two), "its files to go everywhere")
        one.wait(lambda: not cluster.etcd.list("/copies/"), "the records of them")


@test("cluster: a template that arrives damaged is not used, and the clone says so")
def _():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        one, two = cluster.hosts
        digest = make(one, "t", BUSYBOX, *WAITS)["spec"]["digest"]
        with open(one.state_dir / "templates" / digest / "memory", "r+b") as file:
            file.seek(4096)
            file.write(b"damage")
        one.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        clone(one, "c", "x")
        reason = one.wait(lambda: "SHA-256" in one.microvm("c")["status"]["reason"] and one.microvm("c")["status"]["reason"],
                          "the reason")
        expect("cannot be fetched: host h0: " in reason, reason)
        expect(folders(two) == [], f"{folders(two)}")
        one.done("DELETE", "/v1/microvms/c?grace_s=0")
        one.wait_gone("c")
        one.done("DELETE", "/v1/templates/t")
