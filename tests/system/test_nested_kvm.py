"""scripts/nested-kvm: what it passes on, and its own exit codes."""
import concurrent.futures
import os

from harness import ROOT, expect, run, test

TIMED_OUT, FAILED = 124, 125
DEADLINE_S = 180  # it may have to fetch the kernel first
# Half of it is no text.
DATA = bytes(range(256)) * 400


def nested(*words, stdin=b""):
    return run([ROOT / "scripts/nested-kvm", "--memory", "512", "--cpus", "1", *words], stdin=stdin, cwd=ROOT / "tests",
               env={**os.environ, "GREETING": "it's here"}, deadline_s=DEADLINE_S)


def expect_machine():
    script = 'test -c /dev/kvm && grep -q svm /proc/cpuinfo && cat && echo "$GREETING in $PWD" >&2 && exit 7'
    result = nested("--", "sh", "-c", script, stdin=DATA)
    expect((result.code, result.out) == (7, DATA), str(result))
    expect(result.err == f"it's here in {ROOT}/tests\n".encode(), str(result))


def expect_its_end():
    result = nested("--", "sh", "-c", "echo before; echo o > /proc/sysrq-trigger; sleep 1000")
    expect((result.code, result.out) == (FAILED, b"before\n"), str(result))
    expect(result.err.startswith(b"nested-kvm: the machine ended by itself"), str(result))


@test("nested-kvm: input, output and exit code are the command's; 125 for a machine that ends, 124 for a limit", needs_kvm=False)
def _():
    # The slow ones at once: most of it is their boots.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        boots = [pool.submit(expect_machine), pool.submit(expect_its_end)]
    for boot in boots:
        boot.result()
    # Before it has booted.
    result = nested("--timeout", "0.5", "--", "true")
    expect((result.code, result.out) == (TIMED_OUT, b"") and b"the time limit of 0.5 s is reached" in result.err, str(result))
    for words, piece in ((("--memory", "100", "--", "true"), b"512 MiB"), ((), b"a command"), (("--shell", "true"), b"a command"),
                         (("--shell",), b"terminal"), (("--nonsense",), b"--nonsense")):
        result = nested(*words)
        expect(result.code == FAILED and piece in result.err and len(result.err.splitlines()) == 1, f"{words}: {result}")
