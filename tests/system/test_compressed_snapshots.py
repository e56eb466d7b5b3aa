"""Snapshots whose memory is compressed, and read as the guest touches it."""
import os
import pathlib
import re
import subprocess
import time

from api import ApiVmm
from harness import DEADLINE_S, PROGRAMS, VMM, expect, run, temporary_folder, test
from migration_calls import NO_LOG, start_generations, wait_for_ticks, wait_until_checked
from snapshot_calls import finish_live_snapshot, load, names
from test_clones import clone, make_template

MEMORY_MIB = 64


def make_snapshot(folder, vcpus=1, **more):
    with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
        start_generations(vmm, folder, 16, 5, MEMORY_MIB, vcpu_count=vcpus)
        vmm.api.patch("/vm", state="Paused")
        vmm.api.put("/snapshot/create", **names(folder), compression="Zstd", **more)
        if more.get("resume_vm"):
            finish_live_snapshot(vmm)
            wait_for_ticks(vmm, 20)


def memory_of(vmm):
    """What the process has in memory of its own, in bytes."""
    status = pathlib.Path(f"/proc/{vmm.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) << 10


def expect_whole(vmm, ticks=100):
    wait_for_ticks(vmm, ticks)
    expect(b"broken" not in vmm.seen, f"{vmm.seen[-200:]!r}")


for vcpus, behind, options in ((1, False, ()), (2, True, ()), (1, True, ("--warm", f"1,{MEMORY_MIB}"))):
    @test(f"compressed snapshot: written {'behind the guest' if behind else 'paused'}, loaded as it is touched, {vcpus} vCPUs {options}")
    def _(vcpus=vcpus, behind=behind, options=options):
        with temporary_folder() as folder:
            make_snapshot(folder, vcpus, resume_vm=behind)
            for number in range(2):
                with ApiVmm(folder, *NO_LOG, *options, socket_name=f"restored{number}") as vmm:
                    load(vmm, folder)
                    expect(memory_of(vmm) < 8 << 20, f"a load reads what nobody wants: {memory_of(vmm)}")
                    vmm.api.patch("/vm", state="Resumed")
                    expect_whole(vmm)


@test("compressed snapshot: a microVM of one is saved again, whole and as a difference")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        with ApiVmm(folder, *NO_LOG, socket_name="restored") as vmm:
            load(vmm, folder, resume_vm=True, track_dirty_pages=True)
            expect_whole(vmm)
            vmm.api.expect_fault_with(["stands still only"], "PUT", "/snapshot/create", {**names(folder, "behind-"), "resume_vm": True})
            vmm.api.patch("/vm", state="Paused")
            vmm.api.expect_fault_with(["cannot be compressed"], "PUT", "/snapshot/create",
                                      {**names(folder, "diff-"), "snapshot_type": "Diff", "compression": "Zstd"})
            vmm.api.expect_fault_with(["zstd -d"], "PUT", "/snapshot/create", {**names(folder), "snapshot_type": "Diff"})
            vmm.api.put("/snapshot/create", **names(folder, "diff-"), snapshot_type="Diff")
            vmm.api.put("/snapshot/create", **names(folder, "whole-"), compression="Zstd")
        difference, plain = names(folder, "diff-")["mem_file_path"], names(folder, "plain-")["mem_file_path"]
        words = [VMM, "--rebase", names(folder)["mem_file_path"], "--diff", difference]
        refused = run(words)
        expect(refused.code == 1 and b"zstd -d" in refused.err, f"{refused}")
        with open(plain, "wb") as file:
            subprocess.run(["zstd", "-qdc", names(folder)["mem_file_path"]], stdout=file, check=True)
        words[2] = plain
        rebased = run(words)
        expect(rebased.code == 0, f"{rebased}")
        os.rename(names(folder, "diff-")["snapshot_path"], names(folder, "plain-")["snapshot_path"])
        for name in ("plain-", "whole-"):
            with ApiVmm(folder, *NO_LOG, socket_name=f"{name}again") as vmm:
                load(vmm, folder, name, resume_vm=True)
                expect_whole(vmm)


@test("compressed snapshot: whoever wants a damaged frame ends and names it")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        with open(names(folder)["mem_file_path"], "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            table = 8 + 8 * (MEMORY_MIB * 16 + 1) + 9
            file.seek(size // 4)
            file.write(os.urandom(size // 2))  # the last frame, with whose memory it is, and the table stay
            expect(size // 4 * 3 < size - table - 100, "the file's size")
        with ApiVmm(folder, *NO_LOG, socket_name="restored") as vmm:
            load(vmm, folder, resume_vm=True)
            expect(vmm.wait_end() == 1, "the exit code")
            errors = vmm.errors()
            expect("is damaged: frame " in errors and "does not decompress" in errors, f"{errors!r}")


def filled(vmm):
    """How often the guest has waited for its memory, and how often it was read ahead."""
    text = vmm.api.request("GET", "/metrics")[1].decode()
    return [int(re.search(rf"^shoal_page_filler_{name}_count{{.*}} (\d+)$", text, re.M)[1]) for name in ("fault", "read_ahead")]


def wait_for_reads_ahead(vmm, count):
    deadline = time.monotonic() + DEADLINE_S
    while filled(vmm)[1] < count:
        expect(time.monotonic() < deadline, f"faults and reads ahead: {filled(vmm)} of {count}")


@test("compressed snapshot: what one microVM has waited for is read ahead for the next, unless that is damaged")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        path = names(folder)["mem_file_path"] + ".working-set"
        with ApiVmm(folder, *NO_LOG, socket_name="first") as vmm:
            load(vmm, folder, resume_vm=True, record_working_set=True)
            wait_until_checked(vmm)  # it has wanted all of its memory
            expect(not os.path.exists(path), "nobody has told the moment")
            vmm.api.put("/snapshot/working-set")
            recorded = pathlib.Path(path).read_bytes()
            waited, ahead = filled(vmm)
            expect(waited >= 256 and ahead == 0, f"16 MiB in frames of 64 KiB: {waited} faults, {ahead} read ahead")
        for number in range(2):
            with ApiVmm(folder, *NO_LOG, socket_name=f"next{number}") as vmm:
                load(vmm, folder, record_working_set=True)  # again: it is there
                wait_for_reads_ahead(vmm, waited * 9 // 10)  # two may have wanted one at the same time
                vmm.api.patch("/vm", state="Resumed")
                wait_until_checked(vmm)
                expect(filled(vmm)[0] < waited // 4, f"faults and reads ahead: {filled(vmm)}, before: {waited}")
                vmm.api.put("/snapshot/working-set")
                expect(pathlib.Path(path).read_bytes() == recorded, "it is recorded once")
        damaged = bytearray(recorded)
        damaged[-1] ^= 1
        pathlib.Path(path).write_bytes(damaged)
        log = os.path.join(folder, "log")
        with ApiVmm(folder, "--log-path", log, socket_name="damaged") as vmm:
            load(vmm, folder, resume_vm=True, record_working_set=True)
            wait_until_checked(vmm)
            expect(filled(vmm)[1] == 0, "a damaged one is not read")
            expect(pathlib.Path(log).read_text().count("Nothing is read ahead: the working set ") == 1, "one line in the log")
            vmm.process.terminate()  # the end is the moment, too
            vmm.wait_end()
        with ApiVmm(folder, *NO_LOG, socket_name="last") as vmm:
            load(vmm, folder)
            wait_for_reads_ahead(vmm, waited // 2)


@test("compressed snapshot: a template that is smaller, and its clones")
def _():
    with temporary_folder() as folder:
        plain, packed = os.path.join(folder, "plain"), os.path.join(folder, "packed")
        make_template(plain, PROGRAMS / "cloned")
        make_template(packed, PROGRAMS / "cloned", options=["--compress"])
        used = [os.stat(os.path.join(each, "memory")).st_blocks * 512 for each in (plain, packed)]
        expect(used[1] < used[0], f"plain and compressed take {used} bytes")
        for count in (1, 20):
            for number, (line,) in clone(packed, count, "argument {}").items():
                expect(line.startswith(f"{number} argument {number} "), f"clone {number} says {line!r}")
            expect(sorted(os.listdir(packed)) == ["memory", "memory.working-set", "state"], f"the files: {os.listdir(packed)}")
        clone(plain, 1)
        expect(sorted(os.listdir(plain)) == ["memory", "memory.working-set", "state"], f"the files: {os.listdir(plain)}")
