"""`shoal console`: typing at what runs in microVMs, on one host."""
import contextlib
import fcntl
import os
import pathlib
import pty
import select
import signal
import subprocess
import termios
import time

from daemon import Daemon
from harness import BUSYBOX, ENVIRONMENT, SHOAL, TIME_SCALE, Failure, expect, expect_refused, run, temporary_folder, test

LEFT = b"left the console of microVM c, which runs on"


def control_stdin():
    """Its keys send signals then."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Console:
    """An attached `shoal console`; on a terminal, if there shall be one."""

    def __init__(self, daemon, name, *options, on_terminal=False):
        words = [SHOAL, "console", "--socket", str(daemon.socket), *options, name]
        self.terminal, theirs = pty.openpty() if on_terminal else (None, subprocess.PIPE)
        self.process = subprocess.Popen(words, env=ENVIRONMENT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=control_stdin if on_terminal else None)
        if on_terminal:
            self.theirs = theirs
        self.seen = b""

    def type(self, text):
        fd = self.process.stdin.fileno() if self.terminal is None else self.terminal
        while text:
            text = text[os.write(fd, text):]

    def read_to(self, end):
        """What it prints from where it was read to, up to this."""
        deadline = time.monotonic() + 30 * TIME_SCALE
        while end not in self.seen:
            if not select.select([self.process.stdout], [], [], deadline - time.monotonic())[0]:
                raise Failure(f"waited in vain for {end!r} behind {self.seen[-200:]!r}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise Failure(f"it ends before {end!r}: {self.seen[-200:]!r}, {self.process.stderr.read()!r}")
            self.seen += piece
        read, _, self.seen = self.seen.partition(end)
        return read + end

    def end(self):
        """Exit code, what else it printed, errors."""
        out = self.seen + self.process.stdout.read()
        err = self.process.stderr.read()
        code = self.process.wait()
        self.close()
        return code, out, err

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        if self.terminal is not None:
            os.close(self.terminal)
            os.close(self.theirs)
            self.terminal = None


@contextlib.contextmanager
def attached(*words, **more):
    console = Console(*words, **more)
    try:
        yield console
    finally:
        if console.process.returncode is None:
            console.close()


def refused(daemon, name, *options):
    return run([SHOAL, "console", "--socket", daemon.socket, *options, name])


@test("console: what is typed reaches the program, one writer at a time, until it ends with its exit code")
def typed():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "sh", name="c")
        with attached(daemon, "c") as first:  # at once: it may only be about to run
            first.type(b"A=6; echo first $((A * 7))\n")
            first.read_to(b"first 42\n")
            said = refused(daemon, "c")
            expect(said.code == 125, f"{said}")
            expect_refused(said, "somebody is attached to the console of microVM c already", program="shoal")
            with attached(daemon, "c", "--force", "--tail", "0") as second:
                expect(first.end() == (125, b"", b"shoal: the console of microVM c was taken over by another\n"), "first")
                second.type(b"echo second $((A + 1))\n")
                expect(second.read_to(b"\n") == b"second 7\n", "what came before it is not its own")
        with attached(daemon, "c", "--force", "--tail", "1") as third:
            expect(third.read_to(b"\n") == b"second 7\n", "the last line comes first")
            third.process.stdin.close()  # no end for what runs there
            third.process.stdin = None
            with attached(daemon, "c", "--force") as fourth:
                expect(third.end()[0] == 125, "third")
                expect(fourth.read_to(b"second 7\n") == b"first 42\nsecond 7\n", "the last lines come first")
                fourth.type(b"echo bye; exit 7\n")
                expect(fourth.end() == (7, b"bye\n", b"shoal: microVM c has ended: the program ended with exit code 7\n"), "")
        expect(daemon.log("c") == b"first 42\nsecond 7\nbye\n", f"{daemon.log('c')}")
        expect_refused(refused(daemon, "c"), "microVM c does not run: the program ended with exit code 7", program="shoal")
        expect_refused(refused(daemon, "none"), "there is no microVM none", program="shoal")
        expect("shoal-console/1" in daemon.refused(426, "POST", "/v1/microvms/c/console"), "the headers")


@test("console: on a terminal lines are edited here and Ctrl-] leaves, raw passes on each key; both leave it as it was")
def terminal():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "dd", "bs=1", name="c")  # each byte as it comes
        with attached(daemon, "c", "--force", on_terminal=True) as console:
            before = termios.tcgetattr(console.theirs)
            wait_for(console.process.stderr, b"attached to the console of microVM c; Ctrl-] leaves it")
            daemon.wait(lambda: termios.tcgetattr(console.theirs) != before, "its mode")
            console.type(b"wrogn\x7f\x7fng\n")
            console.read_to(b"wrong\n")
            console.type(b"\x1d")
            code, out, err = console_end(console, before)
            expect((code, out) == (0, b"") and LEFT in err, f"{code} {out} {err}")
        with attached(daemon, "c", "--force", on_terminal=True) as console:
            daemon.wait(lambda: termios.tcgetattr(console.theirs) != before, "its mode")
            console.type(b"\x03")  # Ctrl-C
            code, _, err = console_end(console, before)
            expect(code == 0 and LEFT in err, f"{code} {err}")
        with attached(daemon, "c", "--force", "--raw", "--tail", "0", on_terminal=True) as console:
            daemon.wait(lambda: not termios.tcgetattr(console.theirs)[3] & termios.ICANON, "its mode")
            console.type(b"a\x03\x04\r")
            expect(console.read_to(b"\r") == b"a\x03\x04\r", "each key")
            console.process.send_signal(signal.SIGTERM)
            code, _, err = console_end(console, before)
            expect(code == 0 and LEFT in err, f"{code} {err}")
        expect(daemon.microvm("c")["status"]["phase"] == "running", "it runs on")
        with attached(daemon, "c", "--force", on_terminal=True) as console:
            wait_for(console.process.stderr, b"attached")
            daemon.done("POST", "/v1/microvms/c/stop")
            code, _, err = console_end(console, before)
            expect(code == 143 and b"microVM c has ended: it was stopped" in err, f"{code} {err}")


def wait_for(stream, text):
    line = stream.readline()
    expect(text in line, f"{line}")


def console_end(console, before):
    """How it ended; the terminal is as it was."""
    console.process.wait(30 * TIME_SCALE)
    expect(termios.tcgetattr(console.theirs) == before, "the terminal's mode is restored")
    return console.end()


@test("console: it can be attached anew after shoald was killed, and deleting the microVM ends it")
def restarted():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "sh", name="c")
        with attached(daemon, "c") as console:
            console.type(b"A=1; echo one\n")
            console.read_to(b"one\n")
            daemon.kill()
            code, _, err = console.end()
            expect(code == 125 and b"hung up before its console had ended" in err, f"{code} {err}")
        daemon.start()
        with attached(daemon, "c") as console:
            console.read_to(b"one\n")
            console.type(b"echo $A and two\n")
            console.read_to(b"1 and two\n")
            daemon.done("DELETE", "/v1/microvms/c?grace_s=0")
            code, out, err = console.end()
            expect((code, out, err) == (125, b"", b"shoal: microVM c was deleted\n"), f"{code} {out} {err}")
        daemon.wait_gone("c")


@test("console: neither a guest that prints on and on nor one that reads nothing hurts, nor who does not read")
def too_much():
    with temporary_folder() as folder, Daemon(folder, "--log-limit", str(8 << 20)) as daemon:
        daemon.create(BUSYBOX, "sh", name="c", memory_mib=64)
        with attached(daemon, "c", "--tail", "0") as console:
            console.type(b"echo go\n")
            console.read_to(b"go\n")
            before = resident_kib(daemon.process.pid)
            console.type(f"{BUSYBOX} seq 1 300000; echo all\n".encode())
            numbers = "".join(f"{number}\n" for number in range(1, 300_001)).encode()
            # Nobody reads here; the guest goes on all the same.
            daemon.wait(lambda: daemon.log("c", f"?offset={len(numbers)}").endswith(b"all\n"), "the guest to have printed all")
            expect(resident_kib(daemon.process.pid) < before + 16384, "what is not read is not held")
            expect(console.read_to(b"all\n") == numbers + b"all\n", "it comes whole")
        daemon.create(BUSYBOX, "sleep", "1000", name="deaf", memory_mib=32)
        with attached(daemon, "deaf") as console:
            os.set_blocking(console.process.stdin.fileno(), False)
            taken = 0
            with contextlib.suppress(BlockingIOError):
                while select.select([], [console.process.stdin], [], 1)[1]:
                    taken += os.write(console.process.stdin.fileno(), b"x" * 65536)
            expect(65536 <= taken <= 1 << 20, f"{taken} bytes were taken for a guest that reads none")
        expect(resident_kib(daemon.process.pid) < before + 16384, "nor what is not taken")


def resident_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
