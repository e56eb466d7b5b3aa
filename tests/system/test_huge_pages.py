"""Guests whose memory is in transparent huge pages, which nobody shares: all that is done with a guest goes with them, too."""
import pathlib
import re

from api import ApiVmm
from harness import expect, temporary_folder, test
from migration_calls import NO_LOG, expect_one_sequence, kill, move, read_all, start_generations, wait_for_ticks, \
    wait_until_checked
from snapshot_calls import finish_live_snapshot, load, names
from test_diff_snapshots import expect_goes_on, more_ticks
from test_post_copy import wait_until_filled

FILLED_MIB = 16
HUGE_MIB = 2


def has_host_huge_pages():
    text = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="utf-8")
    return "[never]" not in text


def expect_huge(vmm, least_mib=HUGE_MIB):
    text = pathlib.Path(f"/proc/{vmm.process.pid}/smaps_rollup").read_text(encoding="utf-8")
    huge = int(re.search(r"^AnonHugePages: +(\d+) kB$", text, re.MULTILINE)[1]) >> 10
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
