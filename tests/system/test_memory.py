"""The unikernel's memory as the host sees it."""
import subprocess
import time

from harness import ENVIRONMENT, PROGRAMS, SHOAL, TIME_SCALE, expect, test
from test_programs import resident_guest_kib


def expect_resident(process, is_enough, what):
    """Waits until the guest's resident memory is as wanted; the balloon waits for half a second."""
    deadline = time.monotonic() + 10 * TIME_SCALE
    while not is_enough(resident := resident_guest_kib(process.pid)):
        expect(time.monotonic() < deadline, f"{what}: {resident} KiB are resident")
        time.sleep(0.02)


def expect_given_back(kind, rest_mib):
    with subprocess.Popen([SHOAL, "run", "--memory", "256", "--", PROGRAMS / "give_back", kind], bufsize=0,
                          env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            for _ in range(2):
                expect(process.stdout.readline() == b"taken\n", f"{kind}: memory was not taken")
                expect_resident(process, lambda kib: kib >= 200 << 10, f"{kind} memory is in use")
                process.stdin.write(b"\n")
                expect(process.stdout.readline() == b"freed\n", f"{kind}: memory was not freed")
                expect_resident(process, lambda kib: kib < rest_mib << 10, f"{kind} memory is free")
                process.stdin.write(b"\n")
            expect(process.wait(10 * TIME_SCALE) == 0, f"{kind}: exit code {process.returncode}")
        finally:
            process.kill()


@test("balloon: 200 MiB that a program frees go back to the host, and can be used again")
def _():
    expect_given_back("large", 8)


@test("balloon: 200 MiB of deleted files go back to the host, too")
def _():
    expect_given_back("small", 32)
