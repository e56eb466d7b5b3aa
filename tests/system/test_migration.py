"""Live migration: a running microVM goes on in another process, and never in two."""
import fcntl
import itertools
import os
import random
import select
import subprocess

from api import Api, ApiVmm
from harness import BUSYBOX, SHOAL, TIME_SCALE, UNIKERNEL, Failure, expect, temporary_folder, test
from migration_break import break_at
from migration_calls import (NO_LOG, expect_one_sequence, kill, listen, move, read_all, send, start_generations,
                             wait_for_phase, wait_for_ticks)
from migration_wire import Wire
from test_snapshots import count, start_counter


@test("migration: a program goes on in another process, and the first one ends with 164")
def _():
    with temporary_folder() as folder:
        wire = os.path.join(folder, "wire")
        with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            start_counter(one, folder)
            count(one, 1)
            listen(two, wire)
            send(one, wire)
            expect(one.wait_end() == 164, "the exit code of a process whose guest was handed over")
            expect(f"the guest runs at unix:{wire} now" in one.errors(), "what it says")
            wait_for_phase(two, "Running")
            count(two, 2)
            count(two, 3)
            expect(two.api.get("/")["state"] == "Running", "the state")
            expect(two.api.get("/vm/config")["boot-source"]["kernel_image_path"] == UNIKERNEL, "the configuration")
            two.process.stdin.write(b"q")
            two.process.stdin.flush()
            expect(two.wait_end() == 7, "the program's exit code")


@test("migration: what shoal run --api-sock has started moves like any other")
def _():
    with temporary_folder() as folder:
        wire, socket = os.path.join(folder, "wire"), os.path.join(folder, "run")
        words = [SHOAL, "run", "--api-sock", socket, "--env", "WHO=you", BUSYBOX, "sh", "-c",
                 "echo hello $WHO; read word; echo got $word; exit 5"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as one, \
                ApiVmm(folder, *NO_LOG) as two:
            expect(one.stdout.readline() == b"hello you\n", "what it said first")
            listen(two, wire)
            Api(socket).put("/migration/send", destination=f"unix:{wire}")
            _, errors = one.communicate(timeout=30 * TIME_SCALE)
            expect(one.returncode == 164 and b"runs at unix" in errors, f"{one.returncode} {errors}")
            two.process.stdin.write(b"there\n")
            two.process.stdin.flush()
            expect(two.wait_end() == 5 and two.seen.endswith(b"got there\n"), f"{two.seen}")


def move_around(folder, vmm, times, start):
    """Moves a guest through so many new processes; all that it said. Ends the last one."""
    said = b""
    try:
        start(vmm)
        for number in range(times):
            other = ApiVmm(folder, *NO_LOG, socket_name=f"process{number}")
            try:
                move(vmm, other, folder)
            except BaseException:
                other.close()
                raise
            kill([vmm])
            said += read_all(vmm)
            vmm.close()
            vmm = other
            wait_for_ticks(vmm, 3)
        kill([vmm])
        return said + read_all(vmm)
    finally:
        vmm.close()


@test("migration: there and back twenty times while the guest writes, its memory intact and no tick lost")
def _():
    with temporary_folder() as folder:
        vmm = ApiVmm(folder, *NO_LOG, socket_name="start")
        said = move_around(folder, vmm, 20, lambda one: start_generations(one, folder, mib=16, mb_per_s=50))
        expect(expect_one_sequence(said) > 60, "ticks")


@test("migration: what a disk's requests in flight brought is there after each of ten moves")
def _():
    def start(vmm):
        vmm.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=disk, io_engine="Async")
        start_generations(vmm, folder, mib=4, disk="/dev/vda")
        wait_for_ticks(vmm, 80)

    with temporary_folder() as folder:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(4 << 20)
        said = move_around(folder, ApiVmm(folder, *NO_LOG, socket_name="start"), 10, start)
        expect(expect_one_sequence(said) > 110, "ticks")


@test("migration: what the guest wrote and nobody has read is not said by a destination where it never ran")
def _():
    with (temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one,
          ApiVmm(folder, *NO_LOG, socket_name="b") as two, Wire(folder, "state", 0, share=True) as wire):
        start_generations(one, folder)
        # Room for one write: from then on the serial port holds what comes, a tick each 5 ms.
        fcntl.fcntl(one.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        expect(select.select([one.process.stdout], [], [], 30 * TIME_SCALE)[0], "the ticks stop")
        listen(two, wire.back)
        send(one, wire.front)
        expect(wire.reached.wait(30 * TIME_SCALE), "the message never comes")
        expect(two.wait_end() == 165, "the exit code")
        expect(read_all(two) == b"", f"the destination says {two.seen!r}")
        wait_for_phase(one, "Resumed")
        wait_for_ticks(one, one.seen.count(b"tick") + 20)
        kill([one])
        expect_one_sequence(read_all(one))


@test("migration: whoever dies and wherever the wire is cut, exactly one side runs the guest")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    pick = random.Random(seed)
    kinds = ("hello", "accept", "pages", "state", "ready", "commit", "taken")
    for kind, crosses, victim in itertools.product(kinds, (False, True), ("wire", "source", "destination")):
        point = kind, pick.randrange(12) if kind == "pages" else 0, crosses, victim
        with temporary_folder() as folder:
            try:
                said, _ = break_at(point, folder,
                                   start=lambda vmm: start_generations(vmm, folder, mib=8, mb_per_s=50))
                expect_one_sequence(said)
            except Failure as failure:
                raise Failure(f"SHOAL_TEST_SEED={seed}, {point}: {failure}") from None
