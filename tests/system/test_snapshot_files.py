"""What a snapshot leaves on the disk, in which order, and where its drives are; and the memory that its copies share."""
import contextlib
import os
import pathlib
import re
import shutil

from api import ApiVmm
from harness import Skipped, expect, temporary_folder, test
from migration_calls import NO_LOG, expect_one_sequence, kill, read_all, start_generations, wait_for_ticks, wait_until_checked
from slow_disk import why_no_slow_disk
from snapshot_calls import finish_live_snapshot, load, names
from test_migration_drives import make_disk, start_with_disk

SHARERS = 8
FILLED_MIB = 24


def whole_calls(log):
    """The lines of strace -f, each where its call ended."""
    begun = {}
    for line in log.read_text().splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith(" <unfinished ...>"):
            begun[thread] = call.removesuffix(" <unfinished ...>")
        elif match := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            yield begun.pop(thread) + match[1]
        else:
            yield call


def durable_steps(log):
    """What was synced and renamed, in the order in which it was done: (call, path, path)."""
    opened, steps = {}, []
    for call in whole_calls(log):
        if match := re.match(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)".*\) += (\d+)$', call):
            opened[match[2]] = match[1]
        elif match := re.match(r"f(?:data)?sync\((\d+)\) += 0$", call):
            steps.append(("sync", opened.get(match[1], "?"), None))
        elif match := re.match(r'rename(?:at2?)?\((?:AT_FDCWD, )?"([^"]+)", (?:AT_FDCWD, )?"([^"]+)".*\) += 0$', call):
            steps.append(("rename", match[1], match[2]))
    return steps


@test("snapshot: each file is on the disk before it gets its name, and the name before it is done, paused and behind the guest")
def _():
    if reason := why_no_slow_disk():
        raise Skipped(reason)
    for more in ({}, {"resume_vm": True}, {"compression": "Zstd"}):
        with temporary_folder() as folder:
            log = pathlib.Path(folder, "trace")
            words = ["strace", "-f", "-qq", "-o", log, "-e", "trace=open,openat,fsync,fdatasync,rename,renameat,renameat2"]
            with ApiVmm(folder, *NO_LOG, command=lambda command, words=words: [*words, *command]) as vmm:
                start_generations(vmm, folder)
                vmm.api.patch("/vm", state="Paused")
                vmm.api.put("/snapshot/create", **names(folder), **more)
                if "resume_vm" in more:
                    finish_live_snapshot(vmm)
                else:
                    vmm.api.patch("/vm", state="Resumed")
                vmm.process.stdin.write(b"q")
                vmm.process.stdin.flush()
                expect(vmm.wait_end() == 7, "the program's exit code")
            steps = durable_steps(log)
            for path in names(folder).values():
                renamed = [idx for idx, (call, _, to) in enumerate(steps) if call == "rename" and to == path]
                expect(len(renamed) == 1, f"the file gets its name once: {steps}")
                _, temporary, _ = steps[renamed[0]]
                expect(("sync", temporary, None) in steps[:renamed[0]], f"{temporary} is on the disk before that: {steps}")
                expect(("sync", folder, None) in steps[renamed[0]:], f"and the name after it: {steps}")


@test("snapshot: loaded with its drive at another path, a guest goes on there, and not with a drive that it does not have")
def _():
    with temporary_folder() as folder:
        disk, elsewhere = make_disk(folder), os.path.join(folder, "elsewhere")
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_with_disk(vmm, folder, disk)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
            kill([vmm])
            before = read_all(vmm)
        shutil.move(disk, elsewhere)
        paths = names(folder)
        for override, piece in (({"drive_id": "e", "path_on_host": elsewhere}, "Unknown drive: e"),
                                ({"drive_id": "d", "path_on_host": disk}, disk)):
            with ApiVmm(folder, *NO_LOG, socket_name="refused") as vmm:
                vmm.api.expect_fault_with(["Load snapshot error: ", piece], "PUT", "/snapshot/load", {
                    "snapshot_path": paths["snapshot_path"], "drive_overrides": [override],
                    "mem_backend": {"backend_type": "File", "backend_path": paths["mem_file_path"]}})
                expect(vmm.wait_end() == 1, "the process ends")
            os.unlink(os.path.join(folder, "refused"))
        with ApiVmm(folder, *NO_LOG, socket_name="restored") as vmm:
            load(vmm, folder, resume_vm=True, drive_overrides=[{"drive_id": "d", "path_on_host": elsewhere}])
            expect(vmm.api.get("/vm/config")["drives"][0]["path_on_host"] == elsewhere, "the path")
            wait_for_ticks(vmm, 80)  # what is read is checked 64 ticks later
            kill([vmm])
            expect_one_sequence(before + read_all(vmm))
        expect(not os.path.exists(disk), "the old path stays free")


def memory_kib(vmm, path):
    """Rss and Pss of what the process has mapped of a file."""
    total = {"Rss": 0, "Pss": 0}
    is_it = False
    for line in pathlib.Path(f"/proc/{vmm.process.pid}/smaps").read_text().splitlines():
        key, _, value = line.partition(":")
        if "-" in line.split()[0]:
            is_it = line.endswith(path)
        elif is_it and key in total:
            total[key] += int(value.split()[0])
    return total["Rss"], total["Pss"]


@test(f"snapshot: {SHARERS} copies that have read all of their memory have it once among them")
def _():
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_generations(vmm, folder, FILLED_MIB)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
        path = names(folder)["mem_file_path"]
        vmms = [stack.enter_context(ApiVmm(folder, *NO_LOG, socket_name=f"copy{number}")) for number in range(SHARERS)]
        for vmm in vmms:  # one after the other: a guest that is not paused computes
            load(vmm, folder, resume_vm=True)
            wait_until_checked(vmm)
            vmm.api.patch("/vm", state="Paused")
        sizes = [memory_kib(vmm, path) for vmm in vmms]
        expect(min(rss for rss, _ in sizes) > FILLED_MIB << 10, f"each has read it: {sizes}")
        shared = sum(pss for _, pss in sizes)
        expect(shared < 3 * FILLED_MIB << 10, f"all together have {shared} KiB of {FILLED_MIB} MiB: {sizes}")
