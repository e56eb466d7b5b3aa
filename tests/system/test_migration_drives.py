"""Live migration of a microVM whose drives the destination does not reach: they are copied."""
import os
import random

from api import ApiVmm
from harness import Failure, expect, temporary_folder, test
from migration_break import break_at
from migration_calls import (NO_LOG, expect_one_sequence, kill, listen, move, read_all, send, start_generations,
                             wait_for_phase, wait_for_ticks)

DISK_BYTES = (4 << 20) + 512


def make_disk(folder):
    path = os.path.join(folder, "disk")
    with open(path, "wb") as file:
        file.truncate(DISK_BYTES)
        file.seek(DISK_BYTES - 5)
        file.write(b"final")
    return path


def start_with_disk(vmm, folder, path, **more):
    vmm.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=path, **more)
    start_generations(vmm, folder, mib=4, disk="/dev/vda")
    wait_for_ticks(vmm, 80)


def to(path):
    """What a destination is told that has no such file yet."""
    return {"drive_overrides": [{"drive_id": "d", "path_on_host": path}]}


@test("migration: a drive goes with its guest through six moves, while the guest writes to it and checks it")
def _():
    with temporary_folder() as folder:
        path, said = make_disk(folder), b""
        vmm = ApiVmm(folder, *NO_LOG, socket_name="start")
        try:
            start_with_disk(vmm, folder, path, io_engine="Async", cache_type="Writeback")
            for number in range(6):
                after = os.path.join(folder, f"disk{number}")
                other = ApiVmm(folder, *NO_LOG, socket_name=f"process{number}")
                try:
                    status = move(vmm, other, folder, place=to(after), copied_drives=["d"])
                except BaseException:
                    other.close()
                    raise
                kill([vmm])
                said += read_all(vmm)
                vmm.close()
                vmm = other
                expect(status["drive_pages"] > 1 and status["remaining_drive_pages"] == 0, f"the status: {status}")
                expect(os.stat(path).st_size == os.stat(after).st_size == DISK_BYTES, "the size of the new file")
                expect(vmm.api.get("/vm/config")["drives"][0]["path_on_host"] == after, "its name")
                os.unlink(path)
                path = after
                wait_for_ticks(vmm, 80)
            kill([vmm])
            expect(expect_one_sequence(said + read_all(vmm)) > 500, "ticks")
            with open(path, "rb") as file:
                file.seek(DISK_BYTES - 5)
                expect(file.read() == b"final", "the last sector")
        finally:
            vmm.close()


@test("migration: what keeps a drive from being copied leaves the guest and every file as they were")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one:
        path, wire = make_disk(folder), os.path.join(folder, "wire")
        start_with_disk(one, folder, path)
        one.api.expect_fault_with(["no drive e"], "PUT", "/migration/send",
                                  {"destination": f"unix:{wire}", "copied_drives": ["e"]})
        for number, (place, why) in enumerate((({}, "File exists"), (to(os.path.join(folder, "nowhere/disk")), "No such file"),
                           ({"drive_overrides": [{"drive_id": "e", "path_on_host": "/e"}]}, "Unknown drive: e"))):
            with ApiVmm(folder, *NO_LOG, socket_name=f"b{number}") as two:
                listen(two, wire, **place)
                send(one, wire, copied_drives=["d"])
                expect(why in wait_for_phase(one, "Resumed")["failure"], why)
                expect(two.wait_end() == 165, "the exit code")
        with ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            copy = os.path.join(folder, "copy")
            listen(two, wire, **to(copy))
            send(one, wire, copied_drives=["d"], max_bytes_per_s=1 << 20)
            wait_for_phase(one, "Copying")
            one.api.put("/migration/cancel")
            wait_for_phase(one, "Resumed")
            expect(two.wait_end() == 165, "the exit code")
            expect(not os.path.exists(copy), "a file is left")
        wait_for_ticks(one, one.seen.count(b"tick") + 80)
        kill([one])
        expect_one_sequence(read_all(one))


@test("migration: whoever dies while a drive is copied, its whole file is where the guest runs")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    pick = random.Random(seed)
    for kind in ("accept", "drive_pages", "sync", "synced", "pages", "state", "ready", "commit", "taken"):
        victim = pick.choice(("wire", "source", "destination"))
        point = kind, pick.randrange(2) if kind.endswith("pages") else 0, pick.random() < 0.5, victim
        with temporary_folder() as folder:
            path, copy = make_disk(folder), os.path.join(folder, "copy")
            try:
                said, place = break_at(point, folder, start=lambda vmm: start_with_disk(vmm, folder, path),
                                       place=to(copy), copied_drives=["d"])
                expect_one_sequence(said)
                is_gone = victim == "destination"  # it cannot take its file away
                expect(place == "destination" or is_gone or not os.path.exists(copy), "the copy is left")
                expect(place != "destination" or os.stat(copy).st_size == DISK_BYTES, "the copy's size")
            except Failure as failure:
                raise Failure(f"SHOAL_TEST_SEED={seed}, {point}: {failure}") from None
