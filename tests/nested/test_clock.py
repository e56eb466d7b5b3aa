"""The wall clock jumps, which only a machine of the tests' own may do: nobody who counts time looks at it."""
import contextlib
import time

from api import ApiVmm
from daemon import Daemon
from harness import BUSYBOX, expect, temporary_folder, test
from migration_calls import start_generations
from test_fence import SECOND_NS, Fence, expect_more_ticks, expect_still

HOUR_S = 3600
DEADLINE_NS = 10 * SECOND_NS


@contextlib.contextmanager
def shifted(seconds):
    """The machine's clock is wrong meanwhile."""
    def shift(by):
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + by)

    shift(seconds)
    try:
        yield
    finally:
        shift(-seconds)


@test("clock: a fence holds when it shall, and only then, when the clock jumps an hour back or ahead")
def _():
    with temporary_folder() as folder:
        fence = Fence(folder)
        until = fence.set(DEADLINE_NS)
        with ApiVmm(folder, *fence.options()) as vmm:
            start_generations(vmm, folder)
            for number, seconds in enumerate((HOUR_S, -HOUR_S), 1):
                with shifted(seconds):
                    expect_more_ticks(vmm)
                    fence.wait_for_log("stands still: its deadline has passed", number)
                    expect(time.clock_gettime_ns(time.CLOCK_BOOTTIME) >= until, "it stands still too early")
                    expect_still(vmm)
                expect_still(vmm)
                until = fence.set(DEADLINE_NS)
                fence.wait_for_log("goes on: its deadline was moved", number)
                expect_more_ticks(vmm)


@test("clock: shoald ends what has reached its time limit, and nothing else, when the clock jumps an hour back or ahead")
def _():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "sleep", "100000", name="long", time_limit_s=HOUR_S // 2, memory_mib=32)
        daemon.wait_phase("long", "running")
        for seconds in (HOUR_S, -HOUR_S):
            with shifted(seconds):
                name = daemon.create(BUSYBOX, "sleep", "100000", time_limit_s=1, memory_mib=32)["name"]
                ended = daemon.wait_phase(name, "failed")["status"]
                expect(ended["exit_code"] == 124, f"{ended}")
                long = daemon.microvm("long")["status"]
                expect(long["phase"] == "running" and long["restarts"] == 0, f"{long}")
