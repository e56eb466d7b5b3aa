"""What a microVM has used of its snapshot's memory, and what the next is spared by it."""
import os
import pathlib
import re
import time

from api import ApiVmm
from harness import DEADLINE_S, expect, temporary_folder, test
from migration_calls import NO_LOG, start_generations, wait_until_checked
from snapshot_calls import load, names

MEMORY_MIB = 64
USED_PAGES = 16 << 8  # that it checks again and again


def asked_for(vmm):
    """How many pages the kernel was asked to read ahead."""
    found = re.search(r"^shoal_file_ahead_page_count{.*} (\d+)$", vmm.api.request("GET", "/metrics")[1].decode(), re.M)
    return int(found[1]) if found else 0


@test("snapshot: what one microVM has used of its memory is read ahead for the next, unless that is damaged")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_generations(vmm, folder, 16, 5, MEMORY_MIB)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
        path = pathlib.Path(names(folder)["mem_file_path"] + ".working-set")
        with ApiVmm(folder, *NO_LOG, socket_name="first") as vmm:
            load(vmm, folder, resume_vm=True, record_working_set=True)
            wait_until_checked(vmm)
            expect(asked_for(vmm) == 0, "nobody knows yet what it uses")
            vmm.api.put("/snapshot/working-set")
        recorded = path.read_bytes()
        pages = len(recorded) // 4
        expect(USED_PAGES <= pages < MEMORY_MIB << 8, f"{pages} pages are recorded, {USED_PAGES} were used")
        with ApiVmm(folder, *NO_LOG, socket_name="next") as vmm:
            load(vmm, folder, record_working_set=True)
            deadline = time.monotonic() + DEADLINE_S
            while (count := asked_for(vmm)) < USED_PAGES:
                expect(time.monotonic() < deadline, f"{count} of {pages} pages are asked for")
            vmm.api.patch("/vm", state="Resumed")
            wait_until_checked(vmm)
            vmm.api.put("/snapshot/working-set")
            expect(path.read_bytes() == recorded, "it is recorded once")
        path.write_bytes(recorded[:-1] + bytes([recorded[-1] ^ 1]))
        log = os.path.join(folder, "log")
        with ApiVmm(folder, "--log-path", log, socket_name="damaged") as vmm:
            load(vmm, folder, resume_vm=True)
            wait_until_checked(vmm)
            expect(asked_for(vmm) == 0, "a damaged one is not read")
            expect(pathlib.Path(log).read_text().count("Nothing is read ahead: the working set ") == 1, "one line in the log")
