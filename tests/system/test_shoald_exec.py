"""shoald: commands in a microVM beside its program, and microVMs that are stopped."""
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import threading

from cluster import Cluster, with_certificates
from daemon import Daemon
from harness import BUSYBOX, ENVIRONMENT, PROGRAMS, SHOAL, expect, expect_refused, run, temporary_folder, test
from test_shoald_console import Console, attached
from test_shoald_templates import WAITS, clone, make

LIAR = PROGRAMS / "exec_liar"
SLEEP = ("sleep", "1000")


def shell(daemon, name, script, *options, stdin=b""):
    """What a script comes to, within."""
    return execute(daemon, name, BUSYBOX, "sh", "-c", script, options=options, stdin=stdin)


def execute(daemon, name, *words, options=(), stdin=b""):
    return run([SHOAL, "exec", "--socket", daemon.socket, *options, name, "--", *words], stdin=stdin)


def start(daemon, name, script):
    """The same, while it runs."""
    words = [SHOAL, "exec", "--socket", str(daemon.socket), name, "--", BUSYBOX, "sh", "-c", script]
    return subprocess.Popen(words, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextlib.contextmanager
def offering(folder, **more):
    """A shoald with a microVM, e, that offers exec."""
    with Daemon(folder) as daemon:
        daemon.create(BUSYBOX, *SLEEP, name="e", exec=True, **more)
        daemon.wait_phase("e", "running")
        yield daemon


def commands(daemon, name="e"):
    """The processes within, but the agent, the program and ps itself."""
    lines = shell(daemon, name, f"{BUSYBOX} ps -o pid,args").out.decode().splitlines()
    return [line for line in lines[3:] if "ps -o" not in line]


@test("exec: a command's output, errors, exit code, folder and variables are its own, and start with the microVM")
def words():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        made = daemon.create(BUSYBOX, *SLEEP, name="e", exec=True, environment=["A=1", "B=2"])
        expect(made["spec"]["vsock"], f"{made}")
        said = shell(daemon, "e", "echo out; echo err >&2; exit 7")  # at once: it may only be about to run
        expect((said.code, said.out, said.err) == (7, b"out\n", b"err\n"), f"{said}")
        said = shell(daemon, "e", "pwd; echo $A$B$C", "--cwd", "/proc", "--env", "B=3", "--env", "C=4")
        expect((said.code, said.out) == (0, b"/proc\n134\n"), f"{said}")
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
            said = shell(daemon, "e", f"kill -{number} $$")
            expect((said.code, said.out, said.err) == (128 + number, b"", b""), f"{said}")
        said = execute(daemon, "e", "no-such-program")
        expect(said.code == 127, f"{said}")
        expect_refused(said, "cannot run no-such-program: No such file", program="shoal")
        said = execute(daemon, "e", BUSYBOX, "true", options=("--cwd", "/nowhere"))
        expect(said.code == 126, f"{said}")
        expect_refused(said, "there is no folder /nowhere", program="shoal")
        said = execute(daemon, "e", BUSYBOX, "echo", "-n", "--", "", "ü\n")
        expect(said.out == "--  ü\n".encode(), f"{said}")
        expect(daemon.log("e") == b"", f"{daemon.log('e')}")


@test("exec: megabytes go in and come out whole, also to those who read slowly")
def bytes_whole():
    with temporary_folder() as folder, offering(folder) as daemon:
        data = os.urandom(1 << 20)
        said = execute(daemon, "e", BUSYBOX, "cat", stdin=data)
        expect((said.code, said.out == data) == (0, True), f"{said.code} {len(said.out)} {said.err}")
        said = execute(daemon, "e", BUSYBOX, "sha256sum", stdin=data)
        expect(said.out.split()[0].decode() == hashlib.sha256(data).hexdigest(), f"{said}")
        numbers = "".join(f"{number}\n" for number in range(1, 2_000_001)).encode()
        said = execute(daemon, "e", BUSYBOX, "seq", "1", "2000000")
        expect((said.code, said.out == numbers) == (0, True), f"{said.code} {len(said.out)} bytes {said.err}")
        slow = start(daemon, "e", f"{BUSYBOX} seq 1 300000; exit 5")
        slow.stdin.close()
        read = b""
        while piece := os.read(slow.stdout.fileno(), 3000):
            read += piece
            if len(read) % 300_000 < 3000:
                expect(shell(daemon, "e", "true").code == 0, "others are not held up")
        expect((slow.wait(), read) == (5, numbers[:len(read)]) and read.endswith(b"\n300000\n"), f"{len(read)} bytes")
        expect(slow.stderr.read() == b"", "its errors")
        early = execute(daemon, "e", BUSYBOX, "head", "-c", "10", stdin=data)  # ends while there is input
        expect((early.code, early.out) == (0, data[:10]), f"{early}")


@test("exec: twenty commands at once have each its own streams, and the 33rd is refused")
def many():
    with temporary_folder() as folder, offering(folder) as daemon:
        results = {}

        def one(number):
            data = str(number).encode() * 20_000
            results[number] = (shell(daemon, "e", f"{BUSYBOX} cat; exit {number}", stdin=data), data)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, (said, data) in results.items():
            expect((said.code, said.out, said.err) == (number, data, b""), f"{number}: {said}")
        running = [start(daemon, "e", "echo runs; read line; echo $line") for _ in range(32)]
        try:
            for process in running:  # before another one asks, which else might have the last place
                expect(process.stdout.readline() == b"runs\n", "it runs")
            said = shell(daemon, "e", "true")
            expect(said.code == 125 and b"microVM e runs 32 commands already" in said.err, f"{said}")
        finally:
            outputs = [process.communicate(b"ended\n") for process in running]
        expect(outputs == [(b"ended\n", b"")] * 32, f"{outputs}")
        daemon.wait(lambda: shell(daemon, "e", "true").code == 0, "room for another")


@test("exec: the command goes when who asked for it is killed, and who asked is told when the microVM goes")
def cut_off():
    with temporary_folder() as folder, offering(folder) as daemon:
        client = start(daemon, "e", f"{BUSYBOX} sleep 2000 & echo started; wait")
        expect(client.stdout.readline() == b"started\n", "it starts")
        noisy = start(daemon, "e", f"{BUSYBOX} yes")
        expect(noisy.stdout.readline() == b"y\n", "it starts")
        expect(len(commands(daemon)) == 3, f"{commands(daemon)}")
        for process in (client, noisy):
            process.kill()
            process.communicate()
        daemon.wait(lambda: commands(daemon) == [], "the commands to go")
        client = start(daemon, "e", "echo started; read line")
        expect(client.stdout.readline() == b"started\n", "it starts")
        daemon.done("DELETE", "/v1/microvms/e?grace_s=0")
        out, err = client.communicate()
        expect((client.returncode, out) == (125, b"") and b"hung up before the command had ended" in err, f"{err}")


@test("exec: what cannot be is refused with a sentence")
def refused():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, *SLEEP, name="plain")
        daemon.create(BUSYBOX, *SLEEP, name="silent", vsock=True)
        daemon.create(BUSYBOX, "true", name="over", exec=True)
        for name in ("plain", "silent"):
            daemon.wait_phase(name, "running")
        daemon.wait_phase("over", "succeeded")
        for name, piece in {"plain": "has no vsock device: create it with vsock or exec", "silent": "does not offer exec",
                            "over": "does not run", "nobody": "there is no microVM nobody"}.items():
            said = execute(daemon, name, "true")
            expect(said.code == 125, f"{said}")
            expect_refused(said, piece, program="shoal")
        expect_refused(execute(daemon, "silent", "x" * 70_000), "65536", program="shoal")
        expect("Upgrade: shoal-exec/1" in daemon.refused(426, "POST", "/v1/microvms/silent/exec"), "no upgrade")
        expect("stop" in daemon.refused(422, "POST", "/v1/microvms", {"program": BUSYBOX, "stop": {"grace_s": 1}}), "stop")


@test("exec: the program's end, output and exit code are those that it has without exec")
def program():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        for number, script in enumerate(["echo out; echo err >&2; exit 9", "kill -11 $$", f"exec {BUSYBOX} nothing"]):
            ends = []
            for offers in (False, True):
                name = f"{'with' if offers else 'without'}-{number}"
                daemon.create(BUSYBOX, "sh", "-c", script, name=name, exec=offers)
                status = daemon.wait_phase(name, "failed")["status"]
                ends.append((status["exit_code"], status["reason"], daemon.log(name)))
            expect(ends[0] == ends[1], f"{script}: {ends}")
        daemon.create("/bin/busybox", "env", name="words", exec=True, metadata={"owner": "me", "x": "\"1\""})
        daemon.wait_phase("words", "succeeded")
        told = [line for line in daemon.log("words").decode().splitlines() if line.startswith("SHOAL_METADATA=")]
        expect(len(told) == 1 and json.loads(told[0].split("=", 1)[1]) == {"owner": "me", "x": "\"1\""}, f"{told}")
        changed = daemon.done("PUT", "/v1/microvms/words", {**daemon.microvm("words")["spec"], "stop": None, "metadata": {"a": "b"}})
        expect(changed["spec"]["metadata"] == {"a": "b"}, f"{changed}")


@test("exec: a guest that does not keep to the protocol harms nobody but who asks it")
def liars():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        sentences = {"garbage": "no frame of type 72", "huge": "4294967295", "early": "for the guest alone",
                     "credit": "makes no sense", "behind": "behind the last one"}
        for mode in (*sentences, "deaf", "endless"):
            daemon.create(LIAR, mode, name=mode, vsock=True)
        for mode, piece in sentences.items():
            daemon.wait(lambda mode=mode: daemon.log(mode) == b"listening\n", "it to listen")
            said = execute(daemon, mode, "true", stdin=b"x")
            expect(said.code == 125, f"{mode}: {said}")
            expect_refused(said, "does not keep to the protocol", piece, program="shoal")
        for mode in ("deaf", "endless"):
            daemon.wait(lambda mode=mode: daemon.log(mode) == b"listening\n", "it to listen")
            client = start(daemon, mode, "true")
            if mode == "deaf":
                with contextlib.suppress(BrokenPipeError):
                    feed(client, bytes(1 << 16), 64)
            else:
                for _ in range(64):
                    expect(len(client.stdout.read(1 << 20)) == 1 << 20, "its output comes")
            before = resident_kib(daemon)
            expect(daemon.request("GET", "/v1/host")[0] == 200 and before < 200_000, f"{mode}: {before} KiB")
            client.kill()
            client.communicate()
        expect(daemon.request("GET", "/v1/host")[0] == 200, "shoald answers")


def feed(client, piece, count):
    """Writes to a command until that takes no more."""
    os.set_blocking(client.stdin.fileno(), False)
    for _ in range(count):
        try:
            os.write(client.stdin.fileno(), piece)
        except BlockingIOError:
            return


def resident_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


@test("exec: clones of a template with exec offer it, others do not")
def clones():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        make(daemon, "with", BUSYBOX, *WAITS, exec=True)
        make(daemon, "without", BUSYBOX, *WAITS)
        expect(daemon.done("GET", "/v1/templates/with")["spec"]["exec"], "the template says so")
        for name in ("a", "b"):
            made = clone(daemon, name, "word", template="with")
            expect(made["spec"]["exec"] and made["spec"]["vsock"], f"{made}")
            daemon.wait_phase(name, "running")
        for name in ("a", "b"):
            daemon.wait(lambda name=name: daemon.log(name) == b"ready\n", "it to go on")
            said = shell(daemon, name, f"{BUSYBOX} tr '\\0' ' ' < /tmp/words; exit 3")
            expect((said.code, said.out) == (3, f"{name} word ".encode()), f"{said}")
        detail = daemon.refused(422, "POST", "/v1/microvms", {"template": "without", "exec": True})
        expect("does not offer exec" in detail, detail)


@test("exec: a microVM that is about to run is waited for, and one that will not run is not")
def early():
    with temporary_folder() as folder, Daemon(folder, "--max-microvms", "1") as daemon:
        daemon.create(BUSYBOX, *SLEEP, name="first", exec=True)
        daemon.create(BUSYBOX, *SLEEP, name="second", exec=True)
        waits = start(daemon, "second", "echo here")
        daemon.wait(lambda: daemon.microvm("second")["status"]["reason"], "it to say why it waits")
        expect(shell(daemon, "first", "echo here").out == b"here\n" and waits.poll() is None, "one runs, one waits")
        daemon.done("DELETE", "/v1/microvms/first?grace_s=0")
        out, err = waits.communicate(timeout=60)
        expect((waits.returncode, out) == (0, b"here\n"), f"{out} {err}")
        daemon.create(BUSYBOX, *SLEEP, name="third", exec=True)
        waits = start(daemon, "third", "echo here")
        daemon.wait(lambda: daemon.microvm("third")["status"]["reason"], "it to say why it waits")
        daemon.done("DELETE", "/v1/microvms/third")
        out, err = waits.communicate(timeout=60)
        expect(waits.returncode == 125 and b"microVM" in err, f"{out} {err}")
        daemon.done("DELETE", "/v1/microvms/second?grace_s=0")
        daemon.wait_gone("second")
        daemon.create("/none", name="never", exec=True)
        daemon.wait_phase("never", "failed")
        said = shell(daemon, "never", "echo here")
        expect(said.code == 125, f"{said}")
        expect_refused(said, "microVM never does not run: ", program="shoal")


@test("cluster: commands and consoles go through any host, also after a move, and commands when who asked is killed")
def passed_on():
    with temporary_folder() as folder, Cluster(folder, 2, options=with_certificates(folder)) as cluster:
        asked, other = cluster.hosts
        asked.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "cordoned"})
        asked.create(BUSYBOX, *SLEEP, name="e", exec=True, memory_mib=64)
        asked.create(BUSYBOX, *SLEEP, name="plain", memory_mib=32)
        for name in ("e", "plain"):
            expect(asked.wait_phase(name, "running")["status"]["host"] == "h1", "its host")
        for number in range(8):  # at once: the other host may not have seen it yet
            asked.create(BUSYBOX, *SLEEP, name=f"new-{number}", exec=True, memory_mib=64)
            said = shell(asked, f"new-{number}", "exit 9")
            expect(said.code == 9 and asked.microvm(f"new-{number}")["status"]["host"] == "h1", f"{said}")
            asked.done("DELETE", f"/v1/microvms/new-{number}?grace_s=0")
        data = os.urandom(1 << 20)
        for host in (other, asked):
            said = shell(host, "e", f"{BUSYBOX} cat; echo err >&2; exit 4", stdin=data)
            expect((said.code, said.out == data, said.err) == (4, True, b"err\n"), f"{host.name}: {said}")
            said = execute(host, "e", BUSYBOX, "seq", "1", "500000")
            expect((said.code, len(said.out)) == (0, 3_388_895), f"{host.name}: {said.code} {len(said.out)} {said.err}")
            expect_refused(execute(host, "plain", "true"), "has no vsock device", program="shoal")
        client = start(asked, "e", f"echo started; {BUSYBOX} sleep 2000")
        expect(client.stdout.readline() == b"started\n", "it starts")
        expect(len(commands(asked)) == 1, f"{commands(asked)}")
        client.kill()
        client.communicate()
        asked.wait(lambda: commands(asked) == [], "the command to go")
        asked.create(BUSYBOX, "sh", name="c", memory_mib=32)
        with attached(asked, "c") as console:
            console.type(b"A=5; echo $A\n")
            console.read_to(b"5\n")
            said = run([SHOAL, "console", "--socket", other.socket, "c"])
            expect_refused(said, "somebody is attached to the console of microVM c already", program="shoal")
        client = start(asked, "e", "echo started; read line")
        expect(client.stdout.readline() == b"started\n", "it starts")
        asked.kill()
        out, err = client.communicate()
        expect((client.returncode, out) == (125, b"") and b"hung up" in err, f"{err}")
        other.wait(lambda: commands(other) == [], "the command to go")
        asked.start()
        console = Console(asked, "c", "--force")
        console.read_to(b"5\n")
        other.done("PUT", "/v1/hosts/h0/scheduling", {"scheduling": "enabled"})
        other.done("PUT", "/v1/hosts/h1/scheduling", {"scheduling": "draining"})
        other.wait(lambda: other.microvm("e")["status"]["host"] == "h0", "it to move")
        code, _, err = console.end()
        expect((code, err) == (125, b"shoal: microVM c has moved to host h0: attach again\n"), f"{code} {err}")
        with attached(other, "c") as console:
            console.type(b"echo $((A + 1)); exit 3\n")
            code, out, _ = console.end()
            expect((code, out) == (3, b"6\n"), f"{code} {out}")
        for host in (other, asked):
            said = shell(host, "e", "echo here; exit 6")
            expect((said.code, said.out) == (6, b"here\n"), f"{host.name}: {said}")
        asked.done("POST", "/v1/microvms/e/stop")
        status = other.wait_phase("e", "failed")["status"]
        expect((status["host"], status["exit_code"]) == ("h0", 143), f"{status}")


@test("shoald: a microVM that is stopped does not start again, and what is known of it stays")
def stopped():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "sh", "-c", f"echo here; exec {BUSYBOX} sleep 1000", name="s", restart="always")
        daemon.wait_phase("s", "running")
        daemon.wait(lambda: daemon.log("s") == b"here\n", "its output")
        said = run([SHOAL, "stop", "s", "--grace", "5", "--socket", daemon.socket])
        expect((said.code, said.out) == (0, b"microvm s is being stopped\n"), f"{said}")
        microvm = daemon.wait_phase("s", "failed")
        expect((microvm["status"]["exit_code"], microvm["status"]["reason"]) == (143, "it was stopped"), f"{microvm}")
        expect(microvm["spec"]["stop"] == {"grace_s": 5} and microvm["status"]["restarts"] == 0, f"{microvm}")
        expect(daemon.log("s").startswith(b"here\n"), f"its output stays: {daemon.log('s')}")
        daemon.wait(lambda: not daemon.run_folders(), "the run folder to go")
        expect(daemon.request("POST", "/v1/microvms/s/stop")[0] == 200, "again")
        spec = {key: value for key, value in microvm["spec"].items() if key != "stop"}
        expect(daemon.request("PUT", "/v1/microvms/s", {**spec, "labels": {"a": "b"}})[0] == 200, "labels can be changed")
        daemon.kill()
        daemon.start()
        expect(daemon.microvm("s")["status"]["phase"] == "failed", "also for the next shoald")
        daemon.create(BUSYBOX, "sh", "-c", "exit 1", name="again", restart="always")
        daemon.wait(lambda: daemon.microvm("again")["status"]["restarts"] >= 2, "it to start again")
        daemon.request("POST", "/v1/microvms/again/stop")
        daemon.wait_phase("again", "failed")
        daemon.done("PUT", "/v1/groups/g", {"name": "g", "count": 1, "microvm": {"program": BUSYBOX, "arguments": [*SLEEP]}})
        daemon.wait(lambda: daemon.request("GET", "/v1/microvms/g-0")[0] == 200, "a member")
        expect("scale or delete the group" in daemon.refused(409, "POST", "/v1/microvms/g-0/stop"), "a group's")
        daemon.done("DELETE", "/v1/microvms/s")
        daemon.wait_gone("s")
