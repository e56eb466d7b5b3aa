"""A guest that writes, at three rates, across every way to save, copy and move it: each page is checked afterwards."""
import contextlib
import itertools
import os
import random
import re

from api import ApiVmm
from harness import Failure, expect, temporary_folder, test
from migration_calls import (NO_LOG, expect_one_sequence, kill, move, read_all, start_generations, wait_for_phase, wait_for_ticks,
                             wait_until_checked)
from snapshot_calls import finish_live_snapshot, load, names
from test_page_servers import body, page_server

FILLED_MIB = 8
MEMORY_MIB = 64
RATES = (0, 50, 500)  # MB/s
CLONES = 3


def more_ticks(vmm, count):
    wait_for_ticks(vmm, vmm.seen.count(b"tick") + count)


def new_process(folder, name, *options):
    return ApiVmm(folder, *NO_LOG, *options, socket_name=name)


def save_paused(source, folder, **more):
    """All that the guest said before its snapshot."""
    source.api.patch("/vm", state="Paused")
    source.api.put("/snapshot/create", **names(folder), **more)
    kill([source])
    return read_all(source)


def save_behind(source, folder, **more):
    """The process goes on with its guest while the files are written, and for a while after that."""
    source.api.put("/snapshot/create", **names(folder), resume_vm=True, **more)
    finish_live_snapshot(source)
    more_ticks(source, 3)


def expect_goes_on(vmm, before):
    """Where `before` ends. Each page is checked."""
    wait_until_checked(vmm)
    kill([vmm])
    expect_one_sequence(before + read_all(vmm))


def expect_goes_on_within(folder, source):
    """At a tick that the source has made, too."""
    wait_until_checked(source)
    kill([source])
    last = expect_one_sequence(read_all(source))
    with new_process(folder, "restored") as vmm:
        load(vmm, folder, resume_vm=True)
        wait_until_checked(vmm)
        kill([vmm])
        said = read_all(vmm)
    expect(b"broken" not in said, f"the memory: {said[-200:]!r}")
    numbers = [int(number) for number in re.findall(rb"\ntick (\d+)\r?(?=\n)", said)]
    expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] <= last, f"the ticks: {numbers[:20]}")


def full(source, folder):
    before = save_paused(source, folder)
    with new_process(folder, "restored") as vmm:
        load(vmm, folder, resume_vm=True)
        expect_goes_on(vmm, before)


def full_behind(source, folder):
    save_behind(source, folder)
    expect_goes_on_within(folder, source)


def diff_behind(source, folder):
    save_behind(source, folder)
    save_behind(source, folder, snapshot_type="Diff")
    expect_goes_on_within(folder, source)


def compressed(source, folder):
    before = save_paused(source, folder, compression="Zstd")
    with new_process(folder, "restored") as vmm:
        load(vmm, folder, resume_vm=True)
        expect_goes_on(vmm, before)


def compressed_behind(source, folder):
    save_behind(source, folder, compression="Zstd")
    expect_goes_on_within(folder, source)


def uffd(source, folder):
    before = save_paused(source, folder)
    with page_server(folder) as server, new_process(folder, "restored") as vmm:
        vmm.api.put("/snapshot/load", **body(folder, server.path, resume_vm=True))
        expect_goes_on(vmm, before)


def warm(source, folder):
    before = save_paused(source, folder)
    with new_process(folder, "warm", "--warm", f"1,{MEMORY_MIB}") as vmm:
        load(vmm, folder, resume_vm=True)
        expect_goes_on(vmm, before)


def clones(source, folder):
    before = save_paused(source, folder)
    with contextlib.ExitStack() as stack:
        vmms = [stack.enter_context(new_process(folder, f"clone{number}")) for number in range(CLONES)]
        for number, vmm in enumerate(vmms):
            load(vmm, folder, resume_vm=True, clone={"id": f"clone{number}"})
        for vmm in vmms:
            expect_goes_on(vmm, before)


def moved(source, folder, **more):
    with new_process(folder, "there") as vmm:
        move(source, vmm, folder, **more)
        wait_for_phase(vmm, "Running")
        while vmm.api.get("/migration")["remaining_pages"] > 0:
            pass
        kill([source])
        expect_goes_on(vmm, read_all(source))


def pre_copy(source, folder):
    moved(source, folder)


def lanes(source, folder):
    moved(source, folder, connections=4, compression="Zstd")


def post_copy(source, folder):
    moved(source, folder, post_copy=True)


def cycle(kind, mb_per_s, threads):
    """Starts the guest, and saves, copies or moves it once, at a moment that a seed says."""
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    ticks = random.Random(seed).randrange(1, 20)
    with temporary_folder() as folder, new_process(folder, "source") as source:
        try:
            start_generations(source, folder, FILLED_MIB, mb_per_s, MEMORY_MIB, threads=threads,
                              track_dirty_pages=kind is diff_behind)
            wait_for_ticks(source, ticks)
            kind(source, folder)
        except Failure as failure:
            raise Failure(f"SHOAL_TEST_SEED={seed}: {failure}") from None


ALONE = (full, full_behind, diff_behind, compressed, compressed_behind, uffd, warm, clones, pre_copy, lanes, post_copy)
ON_TWO_CPUS = (diff_behind, pre_copy, lanes)

for kind, mb_per_s, threads in (*itertools.product(ALONE, RATES, (1,)), *itertools.product(ON_TWO_CPUS, RATES[1:], (2,))):
    @test(f"generations: {kind.__name__.replace('_', ' ')}, {mb_per_s} MB/s on {threads} vCPUs")
    def _(kind=kind, mb_per_s=mb_per_s, threads=threads):
        cycle(kind, mb_per_s, threads)
