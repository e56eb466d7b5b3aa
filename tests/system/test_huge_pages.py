"""Guests whose memory is in transparent huge pages, which nobody shares: all that is done with a guest goes with them, too."""
import pathlib
import re

from api import ApiVmm
from harness import UNIKERNEL, expect, temporary_folder, test
from migration_calls import NO_LOG, expect_one_sequence, kill, move, read_all, start_generations, wait_for_ticks, \
    wait_until_checked
from snapshot_calls import finish_live_snapshot, load, names
from test_balloon import inflate, wait_for_actual
from test_diff_snapshots import expect_goes_on, more_ticks
from test_post_copy import wait_until_filled
from test_snapshots import write_program

FILLED_MIB = 16
HUGE_MIB = 2
# The balloon's guest; what is taken and what the balloon wants does not go together.
MEMORY_MIB, TAKEN_MIB, BALLOON_MIB = 128, 72, 96


def has_host_huge_pages():
    text = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="utf-8")
    return "[never]" not in text


def anonymous_mib(vmm, key):
    """Of all that the process has."""
    text = pathlib.Path(f"/proc/{vmm.process.pid}/smaps_rollup").read_text(encoding="utf-8")
    return int(re.search(rf"^{key}: +(\d+) kB$", text, re.MULTILINE)[1]) >> 10


def expect_huge(vmm, least_mib=HUGE_MIB):
    huge = anonymous_mib(vmm, "AnonHugePages")
    expect(huge >= (least_mib if has_host_huge_pages() else 0), f"{huge} MiB are in huge pages, not {least_mib}")


@test("huge pages: snapshots behind a guest and Diff ones are what was at their moment, in a warm process, too")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, "--warm", "1,64", socket_name="source") as vmm:
            start_generations(vmm, folder, FILLED_MIB, 50, track_dirty_pages=True, huge_pages="Transparent")
            expect_huge(vmm, FILLED_MIB // 2)
            vmm.api.put("/snapshot/create", **names(folder), resume_vm=True)
            finish_live_snapshot(vmm)
            for _ in range(2):
                more_ticks(vmm, 10)
                vmm.api.put("/snapshot/create", **names(folder), snapshot_type="Diff", resume_vm=True)
                finish_live_snapshot(vmm)
            wait_until_checked(vmm)
            expect(b"broken" not in vmm.seen, f"the source: {vmm.seen[-200:]!r}")
        expect_goes_on(folder, "")
        with ApiVmm(folder, *NO_LOG, socket_name="told") as vmm:
            load(vmm, folder)
            expect(vmm.api.get("/machine-config")["huge_pages"] == "Transparent", "it is remembered")


@test("huge pages: a guest has them at its destination, by post-copy from its next start on, its memory intact")
def _():
    with temporary_folder() as folder:
        vmm, said = ApiVmm(folder, *NO_LOG, socket_name="start"), b""
        try:
            start_generations(vmm, folder, FILLED_MIB, 100, huge_pages="Transparent")
            for number, is_post_copy in enumerate((False, True, True, False)):
                other = ApiVmm(folder, *NO_LOG, socket_name=f"process{number}")
                vmm, old = other, vmm
                move(old, vmm, folder, name=f"wire{number}", post_copy=is_post_copy)
                if is_post_copy:
                    wait_until_filled(vmm)
                else:
                    expect_huge(vmm)
                wait_for_ticks(vmm, 3)
                wait_until_checked(vmm)
                kill([old])
                said += read_all(old)
            kill([vmm])
            said += read_all(vmm)
            expect(b"broken" not in said, f"the memory: {said[-200:]!r}")
            expect(expect_one_sequence(said) > 12, "ticks")
        finally:
            vmm.close()


@test("huge pages: what the balloon takes goes back to the host")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG) as vmm:
        vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1)
        vmm.api.put("/machine-config", vcpu_count=1, mem_size_mib=MEMORY_MIB, huge_pages="Transparent")
        vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=write_program(folder, "give_back"),
                    boot_args=f"console=ttyS0 quiet panic=1 rdinit=/init -- large {TAKEN_MIB}")
        vmm.start()
        vmm.wait_for(b"taken")
        expect_huge(vmm)
        before = anonymous_mib(vmm, "Anonymous")
        expect(before >= TAKEN_MIB, f"the program takes memory: {before} MiB")
        vmm.process.stdin.write(b"\n")
        vmm.process.stdin.flush()
        vmm.wait_for(b"freed")
        inflate(vmm, BALLOON_MIB)
        wait_for_actual(vmm, lambda mib: mib == BALLOON_MIB, "the host gets its memory")
        left = anonymous_mib(vmm, "Anonymous")
        # What is not in the balloon, and what the process has for itself.
        expect(left <= MEMORY_MIB - BALLOON_MIB + 4, f"{left} MiB are left of {before}")
        inflate(vmm, 0)
        wait_for_actual(vmm, lambda mib: mib == 0, "all returns")
