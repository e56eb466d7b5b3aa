"""Diff snapshots: the pages that were written since the one before, by vCPUs and by devices."""
import os
import shutil
import subprocess

from api import ApiVmm
from harness import TIME_SCALE, VMM, expect, expect_refused, run, temporary_folder, test
from migration_calls import NO_LOG, listen, send, start_generations, wait_for_phase, wait_for_ticks
from snapshot_calls import finish_live_snapshot, load, names

ROUNDS = 4
FILLED_MIB = 16
TICKS = 300 if TIME_SCALE == 1 else 100


def blocks(path):
    return os.stat(path).st_blocks * 512


def rebase(folder, base, diff):
    return run([VMM, "--rebase", names(folder, base)["mem_file_path"], "--diff", names(folder, diff)["mem_file_path"]])


def expect_goes_on(folder, name):
    """The program finds its memory, and its disk, as it left them."""
    with ApiVmm(folder, *NO_LOG, socket_name=f"{name}restored") as vmm:
        load(vmm, folder, name, resume_vm=True)
        wait_for_ticks(vmm, TICKS)  # what it reads is checked 64 ticks later
        expect(b"broken" not in vmm.seen, f"the memory: {vmm.seen[-200:]!r}")


def more_ticks(vmm, count):
    wait_for_ticks(vmm, vmm.seen.count(b"tick") + count)


def put_disk(vmm, folder):
    disk = os.path.join(folder, "disk")
    with open(disk, "wb") as file:
        file.truncate(4 << 20)
    vmm.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=disk)


def save(vmm, folder, name, **more):
    """A snapshot of the paused guest, with its disk."""
    vmm.api.patch("/vm", state="Paused")
    vmm.api.put("/snapshot/create", **names(folder, name), **more)
    shutil.copy(os.path.join(folder, "disk"), os.path.join(folder, name + "disk"))
    vmm.api.patch("/vm", state="Resumed")


def start_tracked(vmm, folder, mb_per_s, disk=""):
    start_generations(vmm, folder, FILLED_MIB, mb_per_s, disk=disk, track_dirty_pages=True)


@test("diff snapshot: each of a guest with disk I/O has only what was written, and goes on, when it is merged")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            put_disk(vmm, folder)
            start_tracked(vmm, folder, 1, "/dev/vda")
            save(vmm, folder, "base-", snapshot_type="Diff")  # of nothing: it is whole
            for number in range(ROUNDS):
                more_ticks(vmm, 10)
                save(vmm, folder, f"{number}-", snapshot_type="Diff")
        whole = blocks(names(folder, "base-")["mem_file_path"])
        expect(whole > FILLED_MIB << 20, f"the first has all: {whole}")
        for number in range(ROUNDS):
            part = blocks(names(folder, f"{number}-")["mem_file_path"])
            expect(0 < part < whole / 4, f"diff {number} has {part} bytes, the whole one {whole}")
        for number in range(ROUNDS):
            result = rebase(folder, "base-", f"{number}-")
            expect(result.code == 0 and result.err == b"", f"rebase: {result}")
            if number % 2:
                shutil.copy(os.path.join(folder, f"{number}-disk"), os.path.join(folder, "disk"))
                shutil.copy(names(folder, f"{number}-")["snapshot_path"], names(folder, "base-")["snapshot_path"])
                expect_goes_on(folder, "base-")
                os.unlink(os.path.join(folder, "base-restored"))


@test("diff snapshot: written behind a guest that goes on, over the file of the one before")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_tracked(vmm, folder, 50)
            vmm.api.put("/snapshot/create", **names(folder), resume_vm=True)
            finish_live_snapshot(vmm)
            for number in range(ROUNDS):
                more_ticks(vmm, 10)
                vmm.api.put("/snapshot/create", **names(folder), snapshot_type="Diff", resume_vm=True)
                finish_live_snapshot(vmm)
                if number % 3 == 0:
                    shutil.copy(names(folder)["snapshot_path"], names(folder, "copy-")["snapshot_path"])
                    shutil.copy(names(folder)["mem_file_path"], names(folder, "copy-")["mem_file_path"])
                    expect_goes_on(folder, "copy-")
                    os.unlink(os.path.join(folder, "copy-restored"))
        expect_goes_on(folder, "")


@test("diff snapshot: of a restored guest, with track_dirty_pages or without, it builds on what was loaded")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_generations(vmm, folder, FILLED_MIB, 2)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
        sizes = []
        for name, tracked in (("tracked-", True), ("guessed-", False)):
            with ApiVmm(folder, *NO_LOG, socket_name=name) as vmm:
                load(vmm, folder, track_dirty_pages=tracked, resume_vm=True)
                wait_for_ticks(vmm, 10)
                vmm.api.patch("/vm", state="Paused")
                failing = {**names(folder, "nowhere/"), "snapshot_type": "Diff"}
                vmm.api.expect_fault_with(["Create snapshot error: ", "nowhere"], "PUT", "/snapshot/create", failing)
                vmm.api.put("/snapshot/create", **names(folder, name), snapshot_type="Diff")
            sizes.append(blocks(names(folder, name)["mem_file_path"]))
            with ApiVmm(folder, *NO_LOG, socket_name="refused") as vmm:
                paths = names(folder, name)
                vmm.api.expect_fault_with(
                    ["Load snapshot error: ", "only what changed"], "PUT", "/snapshot/load",
                    {"snapshot_path": paths["snapshot_path"],
                     "mem_backend": {"backend_type": "File", "backend_path": paths["mem_file_path"]}})
            os.unlink(os.path.join(folder, "refused"))
        expect(0 < sizes[0] < sizes[1] / 4, f"with a log it is smaller: {sizes}")
        for name in ("tracked-", "guessed-"):
            shutil.copy(names(folder)["mem_file_path"], os.path.join(folder, "base-memory"))
            result = rebase(folder, "base-", name)
            expect(result.code == 0, f"rebase: {result}")
            os.rename(os.path.join(folder, "base-memory"), names(folder, name)["mem_file_path"])
            expect_goes_on(folder, name)


@test("diff snapshot: a rebase that is killed leaves the base or the result; what does not fit is refused")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_tracked(vmm, folder, 0)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder, "base-"))
            vmm.api.patch("/vm", state="Resumed")
            more_ticks(vmm, 10)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder, "diff-"), snapshot_type="Diff")
        base, diff = names(folder, "base-")["mem_file_path"], names(folder, "diff-")["mem_file_path"]
        for wrong in ((diff, diff), (base, base), (base, os.path.join(folder, "nothing")),
                      (names(folder, "base-")["snapshot_path"], diff)):
            expect_refused(run([VMM, "--rebase", wrong[0], "--diff", wrong[1]]))
        expect(run([VMM, "--rebase", base]).code == 153, "without --diff")
        for delay_ms in (0, 1, 2, 5, 10):
            with subprocess.Popen([VMM, "--rebase", base, "--diff", diff], stderr=subprocess.DEVNULL) as process:
                try:
                    process.wait(delay_ms / 1000)
                except subprocess.TimeoutExpired:
                    process.kill()
        expect(rebase(folder, "base-", "diff-").code in (0, 1), "done now, or before")
        os.rename(base, diff)
        expect_goes_on(folder, "diff-")


@test("diff snapshot: a migration that is given up in between takes none of its pages away")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm, ApiVmm(folder, *NO_LOG, socket_name="other") as other:
            start_tracked(vmm, folder, 5)
            vmm.api.put("/snapshot/create", **names(folder, "base-"), resume_vm=True)
            finish_live_snapshot(vmm)
            more_ticks(vmm, 10)
            wire = os.path.join(folder, "wire")
            listen(other, wire)
            send(vmm, wire, max_bytes_per_s=1 << 20)  # seconds for a round
            wait_for_phase(vmm, "Copying")
            more_ticks(vmm, 10)
            vmm.api.put("/migration/cancel")
            wait_for_phase(vmm, "Resumed")
            more_ticks(vmm, 10)
            vmm.api.put("/snapshot/create", **names(folder, "diff-"), snapshot_type="Diff", resume_vm=True)
            finish_live_snapshot(vmm)
        expect(rebase(folder, "base-", "diff-").code == 0, "the rebase")
        os.rename(names(folder, "base-")["mem_file_path"], names(folder, "diff-")["mem_file_path"])
        expect_goes_on(folder, "diff-")
