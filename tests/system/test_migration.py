"""Live migration: a running microVM goes on in another process, and never in two."""
import itertools
import os
import random
import subprocess
import time

from api import Api, ApiVmm
from harness import BUSYBOX, SHOAL, TIME_SCALE, UNIKERNEL, Failure, expect, temporary_folder, test
from migration_calls import (NO_LOG, OVER, expect_one_sequence, kill, listen, move, read_all, send, start_generations,
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


def runs_at(destination):
    """Whether the guest runs there: it says so, or ends."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while destination.process.poll() is None:
        try:
            phase = destination.api.get("/migration")["phase"]
            if phase == "Waiting":
                destination.api.request("PUT", "/migration/cancel", "{}")  # it has not heard a word
        except OSError:
            continue  # it is about to end
        if phase == "Running":
            return True
        expect(time.monotonic() < deadline, f"the destination stays in {phase}")
        time.sleep(0.001)
    return False


def settle(source, destination, was_given):
    """Where the guest runs when all is over: at the source, at the destination. In doubt the source is told; a
    destination that died after it was given the guest may have run it."""
    there = runs_at(destination)
    if source.process.poll() is not None:
        return False, there
    try:
        phase = wait_for_phase(source, *OVER)["phase"]
        if phase == "InDoubt":
            source.api.put("/migration/resolve", guest_runs="There" if was_given else "Here")
            phase = "HandedOver" if was_given else "Resumed"
    except OSError:
        phase = "HandedOver"
    if phase == "HandedOver":
        expect(source.wait_end() == 164, "the exit code after the hand-over")
    return phase == "Resumed", there


def break_at(point, folder):
    """One migration that is broken at a point; all that the guest said."""
    kind, count_of_kind, crosses, victim = point
    with ApiVmm(folder, *NO_LOG, socket_name="a") as source, ApiVmm(folder, *NO_LOG, socket_name="b") as destination:
        victims = {"source": [source], "destination": [destination], "wire": []}[victim]
        with Wire(folder, kind, count_of_kind, crosses, lambda: kill(victims)) as wire:
            start_generations(source, folder, mib=8, mb_per_s=50)
            listen(destination, wire.back)
            send(source, wire.front, max_downtime_ms=1000)
            expect(wire.reached.wait(30 * TIME_SCALE), "the message never comes")
            was_given = kind == "taken" or (kind == "commit" and crosses)
            here, there = settle(source, destination, was_given)
            expect(not (here and there), "it runs on both sides")
            expect(here or there or victim == ("destination" if was_given else "source"), "it runs on neither side")
            for runs, vmm in ((here, source), (there, destination)):
                if runs:
                    wait_for_ticks(vmm, vmm.seen.count(b"tick") + 3)
            kill([source, destination])
            return read_all(source) + read_all(destination)


@test("migration: whoever dies and wherever the wire is cut, exactly one side runs the guest")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    pick = random.Random(seed)
    kinds = ("hello", "accept", "pages", "state", "ready", "commit", "taken")
    for kind, crosses, victim in itertools.product(kinds, (False, True), ("wire", "source", "destination")):
        point = kind, pick.randrange(12) if kind == "pages" else 0, crosses, victim
        with temporary_folder() as folder:
            try:
                expect_one_sequence(break_at(point, folder))
            except Failure as failure:
                raise Failure(f"SHOAL_TEST_SEED={seed}, {point}: {failure}") from None
