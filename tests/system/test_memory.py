"""The unikernel's memory as the host sees it."""
import random
import shutil
import subprocess
import time

from harness import ENVIRONMENT, PROGRAMS, SHOAL, TIME_SCALE, expect, shoal, temporary_folder, test
from test_disks import make_image, make_tree
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


@test("memory under pressure: cached blocks make room, and what is more ends with a sentence")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        shutil.copy(PROGRAMS / "memory", root / "bin/memory")
        (root / "big").write_bytes(random.Random(5).randbytes(8 << 20))
        options = ["--memory", "64", "--root", str(make_image(root))]
        # Of 64 MiB, the kernel's image takes 6, and the cache would hold 7.
        result = shoal("memory", "fill", "/big", "52", options=options)
        expect((result.code, result.out) == (0, b"filled\n"), str(result))
        result = shoal("memory", "fill", "/big", "64", options=options)
        expect(result.code == 137 and b"out of memory: the program needs more" in result.err, str(result))
