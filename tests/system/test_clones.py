"""Templates and clones: one prepared program, many copies, each with its own words and random bytes."""
import concurrent.futures
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from api import ApiVmm
from harness import (BUSYBOX, DEADLINE_S, ENVIRONMENT, PROGRAMS, SHOAL, TIME_SCALE, VMM, expect, expect_refused, reap, run,
                     temporary_folder, test)
from snapshot_calls import load, names

CLONES = 20
MANY = 40  # more than start at once
PYTHON = ["--memory", "256", "--with", f"/usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"]
NO_LOG = ("--log-path", "/dev/null")


def make_template(folder, *words, options=()):
    """`shoal snapshot`; what the program said meanwhile."""
    result = run([SHOAL, "snapshot", "--to", folder, *options, "--", *words])
    expect(result.code == 0 and result.err == b"", f"no template: {result}")
    return result.out


def clone(folder, count, *args, options=()):
    """`shoal clone`; the lines of all clones by id."""
    result = run([SHOAL, "clone", "--from", folder, *options, str(count), "--", *args])
    expect(result.code == 0 and result.err == b"", f"clones: {result}")
    lines = {}
    for line in result.out.decode().splitlines():
        number, text = line.split(": ", 1) if count > 1 else ("0", line)
        lines.setdefault(int(number), []).append(text)
    expect(sorted(lines) == list(range(count)), f"clones that spoke: {sorted(lines)}")
    return lines


@test("clones: each of twenty has its own words and its own random bytes, and the right time")
def _():
    with temporary_folder() as folder:
        expect(make_template(folder, PROGRAMS / "cloned") == b"ready\n", "what the template says")
        expect(sorted(os.listdir(folder)) == ["memory", "state"], f"the files: {os.listdir(folder)}")
        expect(os.stat(os.path.join(folder, "memory")).st_blocks * 512 < 32 << 20, "zero pages are holes")
        before = int(time.time())
        lines = clone(folder, CLONES, "argument {}", "x{}y{}", "")
        seen = set()
        for number, (line,) in lines.items():
            match = re.fullmatch(rf"{number} argument {number} x{number}y{number}  ([0-9a-f]{{32}}) (\d+)", line)
            expect(match, f"clone {number} says {line!r}")
            seen |= {match[1][:16], match[1][16:]}
            expect(before <= int(match[2]) + 1 and int(match[2]) <= time.time() + 1, f"the time of clone {number}: {line}")
        expect(len(seen) == 2 * CLONES, f"random bytes that are the same: {len(seen)} of {2 * CLONES}")


ANSWER = """
import json, os, random, sys
table = {n: n * n for n in range(100000)}  # what was worth preparing
with open('/dev/clone', 'rb') as channel:
    number, *args = channel.read().decode().split('\\0')[:-1]
random.seed()
print(json.dumps([number, args, table[int(number)], os.urandom(8).hex(), random.random()]))
sys.exit(int(number) == 3 and 9)
"""


# Stands in for shoal-vmm (SHOAL_VMM): one begins at once, whoever comes later waits for a line in the FIFO.
ONE_FIRST = """#!/bin/sh
mkdir {folder}/first 2> /dev/null || read -r line < {folder}/gate
exec {vmm} "$@"
"""


@test("clones: the output of one comes while others have not started, and a terminal shows how many have")
def _():
    with temporary_folder() as folder:
        make_template(folder, PROGRAMS / "cloned")
        gate = os.path.join(folder, "gate")
        os.mkfifo(gate)
        vmm = pathlib.Path(folder, "vmm")
        vmm.write_text(ONE_FIRST.format(folder=folder, vmm=VMM), encoding="utf-8")
        vmm.chmod(0o755)
        ours, terminal = os.openpty()
        with open(gate, "r+b", buffering=0) as lines, open(ours, "rb", buffering=0) as screen, \
                subprocess.Popen([SHOAL, "clone", "--from", folder, str(MANY)], stdout=subprocess.PIPE, stderr=terminal,
                                 env={**ENVIRONMENT, "SHOAL_VMM": str(vmm)}) as process:
            os.close(terminal)
            limit = threading.Timer(DEADLINE_S * TIME_SCALE, process.kill)
            limit.start()
            try:
                said = [process.stdout.readline()]
                lines.write(b"\n" * (MANY - 1))
                said += process.stdout.readlines()
                expect(process.wait() == 0, f"the exit code {process.returncode} after {said}")
            finally:
                limit.cancel()
                process.kill()
            shown = read_screen(screen)
        ids = [int(line.split(b": ")[0]) for line in said]
        expect(sorted(ids) == list(range(MANY)), f"the output: {said}")
        for line in (f"\r\x1b[K0 of {MANY} clones started, 0 ended", f"\r\x1b[K{MANY} of {MANY} clones started, "):
            expect(line in shown, f"{line!r} was not shown: {shown!r}")
        expect(shown.endswith("\r\x1b[K"), f"the last line is left: {shown!r}")


@test("clones: what one alone writes comes at once, also when its line goes on")
def _():
    with temporary_folder() as folder:
        make_template(folder, BUSYBOX, "sh", "-c", "cat /dev/clone > /dev/null; printf prompt; sleep 1000")
        with subprocess.Popen([SHOAL, "clone", "--from", folder, "1"], stdout=subprocess.PIPE) as process:
            limit = threading.Timer(DEADLINE_S * TIME_SCALE, process.kill)
            limit.start()
            try:
                expect(process.stdout.read(6) == b"prompt", "what came")
            finally:
                limit.cancel()
                process.kill()
        reap()  # its clone


def read_screen(screen):
    """What was written to a terminal whose other end is closed."""
    shown = b""
    try:
        while data := screen.read(65536):
            shown += data
    except OSError:  # EIO: nobody has it any more
        pass
    return shown.decode()


@test("clones: python that is started once answers twenty times")
def _():
    with temporary_folder() as folder:
        make_template(folder, "python3", "-c", ANSWER, options=PYTHON)
        result = run([SHOAL, "clone", "--from", folder, str(CLONES), "request {}"])
        expect(result.code == 9, f"the code of clone 3: {result}")
        answers = [json.loads(line.split(": ", 1)[1]) for line in result.out.decode().splitlines()]
        expect(sorted(int(answer[0]) for answer in answers) == list(range(CLONES)), f"answers: {result}")
        for number, args, square, _, _ in answers:
            expect(args == [f"request {number}"] and square == int(number) ** 2, f"clone {number}: {args} {square}")
        for idx in (3, 4):
            expect(len({answer[idx] for answer in answers}) == CLONES, f"random numbers that are the same: {answers}")


@test("clones: a program is ready when it says so, and waits for its input over vsock")
def _():
    with temporary_folder() as folder:
        template = os.path.join(folder, "template")
        said = make_template(template, "python3", "-c", SERVER, options=[*PYTHON, "--vsock", "--ready-line", "go"])
        expect(said.endswith(b"go\n"), f"the template says {said!r}")
        expect(sorted(os.listdir(template)) == ["memory", "state"], f"the files: {os.listdir(template)}")
        prefix = os.path.join(folder, "vsock.")
        with concurrent.futures.ThreadPoolExecutor(1) as background:
            running = background.submit(clone, template, 3, options=["--vsock", prefix])
            for number in range(3):
                expect(ask(f"{prefix}{number}", b"%d" % number) == b"%d!" % number, "the answer")
            expect(all(text == ["done"] for text in running.result().values()), "the clones' ends")


SERVER = """
import socket
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 7))
listener.listen()
print('go', flush=True)
connection, _ = listener.accept()
connection.sendall(connection.recv(100) + b'!')
connection.close()
print('done', flush=True)
"""


def ask(path, request):
    """A connection to port 7 of the vsock device at `path`, once it is there."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30 * TIME_SCALE)
            try:
                connection.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                expect(time.monotonic() < deadline, f"nobody listens at {path}")
                time.sleep(0.001)
                continue
            connection.sendall(b"CONNECT 7\n")
            file = connection.makefile("rwb")
            greeting = file.readline()
            expect(greeting.startswith(b"OK "), f"the greeting {greeting!r}")
            file.write(request)
            file.flush()
            return file.read()


@test("clones: what other processes have begun is done before the copy, unless they never rest")
def _():
    script = "%s & child=$!; read words < /dev/clone; echo a copy; kill $child"
    with temporary_folder() as folder:
        begun = f"{BUSYBOX} sh -c 'echo begun; exec {BUSYBOX} sleep 1000'"
        expect(make_template(folder, BUSYBOX, "sh", "-c", script % begun) == b"begun\n", "what the template says")
        lines = clone(folder, 3)
        expect(all(text == ["a copy"] for text in lines.values()), f"the clones say {lines}")
    with temporary_folder() as folder:
        expect(make_template(folder, BUSYBOX, "sh", "-c", script % "while :; do :; done") == b"", "what the busy one says")
        expect(clone(folder, 1) == {0: ["a copy"]}, "the clone of the busy one")


@test("clones: a clone may be a template again, and the id changes with every load")
def _():
    with temporary_folder() as folder:
        make_template(folder, PROGRAMS / "cloned", "again")
        said = []
        for name in ("one", "two"):
            with ApiVmm(folder, *NO_LOG, socket_name=name) as vmm:
                load(vmm, folder, resume_vm=True, clone={"id": name, "args": ["a"]})
                said.append(vmm.wait_for(b"\n"))
                if name == "one":
                    wait_until_asleep(vmm)
                    vmm.api.patch("/vm", state="Paused")
                    vmm.api.put("/snapshot/create", **names(folder, "second-"))
        for name in ("three", "four"):
            with ApiVmm(folder, *NO_LOG, socket_name=name) as vmm:
                load(vmm, folder, "second-", resume_vm=True, clone={"id": name})
                said.append(vmm.wait_for(b"\n"))
                expect(vmm.wait_end() == 0, "the program's exit code")
        expect([line.split()[0] for line in said] == [b"one", b"two", b"three", b"four"], f"ids: {said}")
        expect(len({line.split()[-2] for line in said}) == 4, f"random bytes: {said}")


def wait_until_asleep(vmm):
    (task,) = (path for path in pathlib.Path(f"/proc/{vmm.process.pid}/task").iterdir()
               if (path / "comm").read_text() == "vcpu0\n")
    deadline = time.monotonic() + 30 * TIME_SCALE
    before = None
    while (now := (task / "schedstat").read_text()) != before:
        expect(time.monotonic() < deadline, "the vCPU never halts")
        before = now
        time.sleep(0.05)  # how long it has to stand still


@test("clones: a load without words is the end of /dev/clone at once, and random bytes differ all the same")
def _():
    with temporary_folder() as folder:
        make_template(folder, PROGRAMS / "cloned")
        said = []
        for name in ("one", "two"):
            with ApiVmm(folder, *NO_LOG, socket_name=name) as vmm:
                load(vmm, folder, resume_vm=True)
                said.append(vmm.wait_for(b"\n").split())
        expect(all(len(words) == 2 for words in said) and said[0][0] != said[1][0], f"{said}")


@test("clones: the clock goes on where it was, or with clock_realtime as if the guest had run")
def _():
    with temporary_folder() as folder:
        make_template(folder, PROGRAMS / "cloned")
        time.sleep(1.5)  # the time that passes is what is tested
        times = {}
        for realtime in (False, True):
            with ApiVmm(folder, *NO_LOG, socket_name=f"s{realtime}") as vmm:
                load(vmm, folder, resume_vm=True, clock_realtime=realtime)
                times[realtime] = int(vmm.wait_for(b"\n").split()[-1]) - time.time()
        expect(abs(times[True]) < 1.1, f"the clock is wrong by {times[True]} s")
        expect(times[False] < -1.2, f"the clock did not stop: {times[False]} s")


@test("clones: what cannot be is refused with a sentence")
def _():
    with temporary_folder() as folder:
        empty = os.path.join(folder, "nothing")
        cases = [
            (["clone", "--from", empty, "2"], ["clone 0: ", "nothing/state"]),
            (["clone", "--from", empty, "0"], ["1 to 10000"]),
            (["clone", "--from", empty, "10001"], ["1 to 10000"]),
            (["clone", "--from", empty, "many"], ["whole number"]),
            (["clone", "--from", empty], ["whole number"]),
            (["clone", "3"], ["--from"]),
            (["snapshot", "--to", empty], ["PROGRAM"]),
            (["snapshot", "--", "true"], ["--to"]),
            (["snapshot", "--to", empty, "--timeout", "0", "true"], ["above 0"]),
            (["snapshot", "--to", empty, "/bin/true"], ["ended before it was ready", "exit code 0"]),
            (["snapshot", "--to", empty, "--timeout", "0.3", PROGRAMS / "spin"], ["not ready within 0.3 s"]),
        ]
        for words, pieces in cases:
            result = run([SHOAL, *words])
            result.out = b""  # what the program said
            expect_refused(result, *pieces, program="shoal")
            expect(result.code == 125, f"the exit code: {result}")
        expect(not os.path.exists(empty) or os.listdir(empty) == [], "no files of a template that failed")
        make_template(folder, PROGRAMS / "cloned")
        result = run([SHOAL, "clone", "--from", folder, "2", "--", "x" * 32768])
        expect(result.code == 125 and b"the most is 32768" in result.err, f"too long: {result}")
