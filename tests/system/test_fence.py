"""The fence: a guest stands still once its host's deadline has passed, whoever is dead or stopped."""
import os
import signal
import struct
import time

from api import ApiVmm
from harness import TIME_SCALE, VMM, expect, expect_refused, run, temporary_folder, test
from migration_calls import boot_generations, listen, send, start_generations, wait_for_phase, wait_for_ticks

SECOND_NS = 1_000_000_000
LONG_NS = 1000 * SECOND_NS


class Fence:
    """The file, and the log in which a VMM says what it made of it."""

    def __init__(self, folder, name="fence"):
        self.path = os.path.join(folder, name)
        self.log = self.path + ".log"
        self.set(0)

    def options(self):
        return ("--fence", self.path, "--log-path", self.log, "--level", "Warning")

    def set(self, from_now_ns):
        """As shoald does it: in place. 0: it has passed. The moment."""
        until = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + from_now_ns if from_now_ns else 0
        mode = "r+b" if os.path.exists(self.path) else "wb"
        with open(self.path, mode) as file:
            file.write(struct.pack("=Q", until))
        return until

    def wait_for_log(self, text, times):
        deadline = time.monotonic() + 30 * TIME_SCALE
        while True:
            with open(self.log, encoding="utf-8") as file:
                if file.read().count(text) >= times:
                    return
            expect(time.monotonic() < deadline, f"the log never says {text!r} {times} times")
            time.sleep(0.005)


def expect_still(vmm):
    """What the guest had said is read; then it says nothing for longer than ten of its ticks take."""
    while vmm.read_more(0.1 * TIME_SCALE):
        pass
    expect(not vmm.read_more(0.5 * TIME_SCALE), f"the guest runs: {vmm.seen[-100:]!r}")


def expect_more_ticks(vmm):
    wait_for_ticks(vmm, vmm.seen.count(b"tick") + 3)


@test("fence: each deadline that passes holds the guest, and each later one lets it go on")
def _():
    with temporary_folder() as folder:
        fence = Fence(folder)
        fence.set(SECOND_NS)
        with ApiVmm(folder, *fence.options()) as vmm:
            start_generations(vmm, folder)
            for number in range(1, 4):
                fence.wait_for_log("stands still: its deadline has passed", number)
                expect_still(vmm)
                fence.set(SECOND_NS // 2)
                fence.wait_for_log("goes on: its deadline was moved", number)
                expect_more_ticks(vmm)


@test("fence: a process that was stopped over its deadline does not run its guest when it goes on")
def _():
    with temporary_folder() as folder:
        fence = Fence(folder)
        until = fence.set(SECOND_NS)
        with ApiVmm(folder, *fence.options()) as vmm:
            start_generations(vmm, folder)
            for number in range(1, 5):
                expect_more_ticks(vmm)
                os.kill(vmm.process.pid, signal.SIGSTOP)
                while vmm.read_more(0.01):
                    pass
                before = vmm.seen.count(b"tick")
                time.sleep(max(0, until - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) / SECOND_NS)
                os.kill(vmm.process.pid, signal.SIGCONT)
                fence.wait_for_log("stands still", number)
                expect_still(vmm)
                # One may have been on its way out of the process.
                expect(vmm.seen.count(b"tick") - before <= 1, f"{vmm.seen.count(b'tick') - before} ticks too many")
                until = fence.set(SECOND_NS // 2)
                fence.wait_for_log("goes on", number)


@test("fence: a guest starts only once its deadline lies ahead, and one that is paused stays so")
def _():
    with temporary_folder() as folder:
        fence = Fence(folder)
        with ApiVmm(folder, *fence.options()) as vmm:
            boot_generations(vmm, folder)
            expect_still(vmm)
            vmm.api.patch("/vm", state="Paused")
            fence.set(LONG_NS)
            expect_still(vmm)
            vmm.api.patch("/vm", state="Resumed")
            expect_more_ticks(vmm)


@test("fence: a guest that arrives where the deadline has passed stands still there")
def _():
    with temporary_folder() as folder:
        here, there = Fence(folder, "here"), Fence(folder, "there")
        here.set(LONG_NS)
        with ApiVmm(folder, *here.options(), socket_name="a") as one, \
                ApiVmm(folder, *there.options(), socket_name="b") as two:
            start_generations(one, folder)
            wire = os.path.join(folder, "wire")
            listen(two, wire)
            send(one, wire, after_hand_over="Stay")
            wait_for_phase(two, "Running")
            expect_still(two)
            there.set(LONG_NS)
            expect_more_ticks(two)


@test("fence: a file that is no deadline is refused", needs_kvm=False)
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "fence")
        for content in (b"", b"1234567", b"123456789"):
            with open(path, "wb") as file:
                file.write(content)
            expect_refused(run([VMM, "--level", "Off", "--api-sock", path + ".sock", "--fence", path]),
                           "is no deadline: it has not 8 bytes")
        expect_refused(run([VMM, "--level", "Off", "--api-sock", path + ".sock", "--fence", path + "x"]),
                           "cannot open")
