"""What the system tests share: running microVMs and host programs, registering and counting tests."""
import ctypes
import functools
import importlib
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHOAL = str(ROOT / "build/shoal")
VMM = str(ROOT / "build/shoal-vmm")
UNIKERNEL = str(ROOT / "build/guest/shoal.elf")
PROGRAMS = ROOT / "build/tests/programs"
BUSYBOX = "/bin/busybox"
# Deadlines are this many times longer where CPUs are slow.
TIME_SCALE = float(os.environ.get("SHOAL_TEST_TIME_SCALE", "1"))
DEADLINE_S = 60

# The environment that `shoal run` gives a program; host programs get the same, for comparison.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}

TESTS = []


class Failure(Exception):
    """What was expected and what came."""


class Skipped(Exception):
    """Why a test says nothing here."""


class Result:
    """How a process ended. A death by signal N is code 128 + N, as a shell shows it."""

    def __init__(self, code, out, err):
        self.code = code if code >= 0 else 128 - code
        self.out = out
        self.err = err

    def __str__(self):
        return f"exit code {self.code}, stdout {shorten(self.out)}, stderr {shorten(self.err)}"


def shorten(data):
    if len(data) <= 300:
        return repr(data)
    return f"{data[:150]!r} ... {data[-100:]!r} ({len(data)} bytes)"


def test(sentence, needs_kvm=True):
    """Registers a function without arguments that raises Failure."""

    def register(function):
        TESTS.append((sentence, function, needs_kvm))
        return function

    return register


def import_tests(folder):
    """Registers what the folder's files test_*.py test; what has been imported keeps its place."""
    for path in sorted(folder.glob("test_*.py")):
        importlib.import_module(path.stem)


def run(words, stdin=b"", cwd="/", env=None, deadline_s=DEADLINE_S, pass_fds=()):
    """Runs a process to its end. `stdin` is bytes, or an open file."""
    deadline_s *= TIME_SCALE
    given = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    try:
        done = subprocess.run(
            [str(word) for word in words],
            **given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=ENVIRONMENT if env is None else env,
            timeout=deadline_s,
            pass_fds=pass_fds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Failure(
            f"no end after {deadline_s} s: {words}, stdout {shorten(late.stdout or b'')}, "
            f"stderr {shorten(late.stderr or b'')}"
        ) from None
    return Result(done.returncode, done.stdout, done.stderr)


def shoal(*words, stdin=b"", env=None, options=()):
    """`shoal run OPTIONS -- WORDS`"""
    return run([SHOAL, "run", *options, "--", *words], stdin=stdin, env=env)


def vmm(*words, **more):
    """shoal-vmm with the unikernel, unless the words name another kernel."""
    kernel = [] if "--kernel" in words else ["--kernel", UNIKERNEL]
    return run([VMM, *kernel, *words], **more)


def expect(condition, what):
    if not condition:
        raise Failure(what)


def skip(reason):
    """Ends a test that cannot be run here: it counts as skipped. In CI all must run."""
    expect(os.environ.get("CI") != "true", reason)
    raise Skipped(reason)


def expect_same_as_host(*words, stdin=b"", root=None, options=(), env=None):
    """The same command inside and outside: stdout, stderr and exit code byte for byte."""
    chosen = ["--root", str(root)] if root else []
    inside = shoal(*words, stdin=stdin, options=[*options, *chosen])
    outside = run(words, stdin=stdin, cwd=root or "/", env={**ENVIRONMENT, **(env or {})})
    expect(
        (inside.code, inside.out, inside.err) == (outside.code, outside.out, outside.err),
        f"inside: {inside}; on the host: {outside}",
    )
    return inside


def expect_refused(result, *pieces, program="shoal-vmm"):
    """One sentence on stderr that holds all pieces, nothing on stdout, a code that is not 0."""
    lines = result.err.decode(errors="replace").splitlines()
    expect(result.code != 0, f"it was not refused: {result}")
    # 153 is what Firecracker says to bad arguments; other codes from 128 are crashes.
    expect(result.code < 128 or result.code == 153, f"it crashed: {result}")
    expect(result.out == b"" and len(lines) == 1, f"not one sentence on stderr: {result}")
    for piece in (f"{program}: ", *pieces):
        expect(str(piece) in lines[0], f"{piece!r} is not in {lines[0]!r}")


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="shoal-test-")


class LeftoverWatch:
    """Finds processes and files that a test left behind."""

    def __init__(self):
        # A child's orphans become ours (PR_SET_CHILD_SUBREAPER), so that none gets away unseen.
        ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)
        self.files_before = self.files()

    @staticmethod
    def files():
        return {
            str(path)
            for folder in ("/tmp", "/run", "/dev/shm", "/var/tmp")
            for path in pathlib.Path(folder).glob("*shoal*")
        }

    def check(self):
        processes = children()
        for pid in processes:  # the next tests shall not pay for it
            os.kill(pid, signal.SIGKILL)
        reap()
        files = self.files() - self.files_before
        self.files_before |= files
        expect(not processes, f"processes were left behind: {processes}")
        expect(not files, f"files were left behind: {sorted(files)}")


def children():
    """Our processes, and those that became ours when a child of ours died."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        if int(rest.split()[1]) == os.getpid():
            found.append(int(name.split()[0]))
    return found


def reap():
    """Waits for children that are dying (the harness is a subreaper)."""
    deadline = time.monotonic() + 10 * TIME_SCALE
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            select.select([], [], [], 0.005)


def why_no_kvm():
    """None, or the reason why /dev/kvm cannot be used here."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        return None
    except OSError as error:
        return f"/dev/kvm cannot be opened ({error.strerror})"


def reasons(error):
    """What went wrong first, and what went wrong with cleaning up after it."""
    what = str(error) if isinstance(error, Failure) else repr(error)
    return f"{reasons(error.__context__)}; then: {what}" if error.__context__ else what


def outcome(sentence, function, watch, tries):
    """Runs a test, and says in one line how it went; of several tries each has its line. "passed", "failed" or "skipped"."""
    for left in reversed(range(tries)):
        started = time.monotonic()
        try:
            function()
            watch.check()
            print(f"ok      {sentence} ({time.monotonic() - started:.2f} s)", flush=True)
            return "passed"
        except Skipped as reason:
            print(f"skipped {sentence}: {reason}", flush=True)
            return "skipped"
        except Exception as error:  # a test that breaks has failed; the others still run
            print(f"{'again ' if left else 'FAILED'}  {sentence}: {reasons(error)}", flush=True)
    return "failed"


def run_all(chosen, label="system", tries=1):
    """Runs the tests whose sentence contains `chosen`. The number of those that failed every try."""
    watch = LeftoverWatch()
    no_kvm = why_no_kvm()
    # Then the nested suite runs what needs one in place of this one (scripts/test).
    elsewhere = no_kvm and os.environ.get("SHOAL_KVM_TESTS") == "nested"
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for sentence, function, needs_kvm in TESTS:
        if chosen in sentence and not (needs_kvm and elsewhere):
            way = functools.partial(skip, no_kvm) if needs_kvm and no_kvm else function
            count[outcome(sentence, way, watch, tries)] += 1
    print(in_words(label, count))
    return count["failed"]


def in_words(label, count):
    return f"{label}: {count['passed']} passed, {count['failed']} failed" + \
        (f", {count['skipped']} skipped" if count["skipped"] else "")
