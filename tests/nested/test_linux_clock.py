"""The wall clock of a Linux that was moved, or loaded from a snapshot, is as right as it was before."""
import time

from api_guest import KERNEL, guest_loaded, new_guest
from harness import TIME_SCALE, expect, temporary_folder, test
from migration_calls import move, wait_for_phase
from snapshot_calls import load, names
from test_clock import HOUR_S, shifted

CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
READINGS = 100
# The emulator makes three milliseconds' difference between two measurements, and loses a hundred in a move.
TOLERANCE_NS = 5_000_000 * TIME_SCALE


def ahead_ns(guest):
    """How far the guest's wall clock is ahead of this machine's, less the shortest time that a line takes to come. Right
    after its boot a Linux is behind: it counts ticks before it has a better clock, and the emulator loses some."""
    guest.send(f"wall_clock {READINGS}")
    ahead = max(int(guest.wait_for(b"\n")) - time.time_ns() for _ in range(READINGS))
    guest.wait_for(b"@END@ 0\n")
    return ahead


def expect_as_right(guest, before_ns, when):
    lost_ns = before_ns - ahead_ns(guest)
    print(f"        {when}: {lost_ns / 1e6:.1f} ms lost", flush=True)
    expect(abs(lost_ns) < TOLERANCE_NS, f"{when}: {lost_ns / 1e6} ms lost")


def moved(guest, folder, name):
    other = guest_loaded(folder, name, lambda other, own: move(guest, other, own, max_downtime_ms=300))
    guest.close()
    wait_for_phase(other, "Running")
    return other


def save_and_end(guest, folder):
    guest.api.patch("/vm", state="Paused")
    guest.api.put("/snapshot/create", **names(folder))
    guest.close()


# It takes the TSC by itself where that is invariant (CPUID 0x80000007, EDX bit 8), which it is not in the emulated machine.
@test("Linux: its wall clock is as right after a move, and after a load an hour later, as before, by kvm-clock and by the TSC")
def _():
    with temporary_folder() as folder:
        guest = new_guest(folder, programs=["wall_clock"])
        try:
            guest.boot(KERNEL / "vmlinux", words="tsc=reliable", memory_mib=96)
            guest.wait_ready()
            for clock in ("kvm-clock", "tsc"):
                guest.run(f"echo {clock} > {CLOCKSOURCE}; grep -qx {clock} {CLOCKSOURCE}")
                before_ns = ahead_ns(guest)
                guest = moved(guest, folder, f"{clock}-moved")
                expect_as_right(guest, before_ns, f"moved, {clock}")
                save_and_end(guest, folder)
                with shifted(HOUR_S):
                    guest = guest_loaded(folder, f"{clock}-loaded",
                                         lambda other, _: load(other, folder, resume_vm=True, clock_realtime=True))
                    expect_as_right(guest, before_ns, f"loaded, {clock}")
                    guest.run("! dmesg | grep lockup")
        finally:
            guest.close()
