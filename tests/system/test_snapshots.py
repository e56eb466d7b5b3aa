"""Snapshots: a microVM goes on where it was, in another process, as often as one likes."""
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import select
import sys
import time

from api import ApiVmm
from harness import BUSYBOX, PROGRAMS, ROOT, TIME_SCALE, UNIKERNEL, Failure, expect, temporary_folder, test
from netns import Network, need_network
from snapshot_calls import finish_live_snapshot, load, names
from state_file import put_together, take_apart, with_cpuid_bit
from tiny_kernel import IDLE, write_kernel

sys.path.append(str(ROOT / "scripts/nested"))

import cpio

NO_LOG = ("--log-path", "/dev/null")
# An emulated CPU (tests/nested) shows it by less.
IS_FAST = TIME_SCALE == 1
STARTS = 12 if IS_FAST else 4
KILLED_AFTER_MS = (0, 2, 5, 10, 20, 40, 80) if IS_FAST else (0, 10, 80)
TAKEN_MIB = 200 if IS_FAST else 48
START_S = 0.06  # until the program has started


def write_program(folder, name):
    """An initramfs with one of PROGRAMS; the path."""
    archive = cpio.Archive()
    archive.copy("init", PROGRAMS / name)
    path = os.path.join(folder, "initramfs")
    with open(path, "wb") as file:
        file.write(archive.bytes())
    return path


def boot_counter(vmm, folder, name="counter", words="", vcpus=1):
    vmm.api.put("/machine-config", vcpu_count=vcpus, mem_size_mib=128)
    vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=write_program(folder, name),
                boot_args=f"console=ttyS0 quiet panic=1 rdinit=/init {words}")
    vmm.start()


def start_counter(vmm, folder, vcpus=1):
    boot_counter(vmm, folder, vcpus=vcpus)
    vmm.wait_for(b"count 0 0.5\n")
    wait_until_halted(vmm)


def wait_until_halted(vmm):
    """Until all vCPUs have waited for input for a while."""
    tasks = [path for path in pathlib.Path(f"/proc/{vmm.process.pid}/task").iterdir()
             if (path / "comm").read_text().startswith("vcpu")]
    deadline = time.monotonic() + 30 * TIME_SCALE
    before = None
    while (now := [(task / "schedstat").read_text() for task in tasks]) != before:
        expect(time.monotonic() < deadline, "a vCPU never halts")
        before = now
        time.sleep(0.05)  # how long it has to stand still


def count(vmm, number):
    """Lets the program count to `number`, which is the next."""
    vmm.process.stdin.write(b"x")
    vmm.process.stdin.flush()
    vmm.wait_for(f"count {number} {0.5 * (number + 1):.1f}\n".encode())


def make_snapshot(folder, vcpus=1):
    with ApiVmm(folder, *NO_LOG, socket_name="source.socket") as vmm:
        start_counter(vmm, folder, vcpus)
        count(vmm, 1)
        vmm.api.patch("/vm", state="Paused")
        vmm.api.put("/snapshot/create", **names(folder))


for vcpus in (1, 2):
    @test(f"snapshot: a program goes on where it was, its memory intact, in two processes at once, {vcpus} vCPUs")
    def _(vcpus=vcpus):
        with temporary_folder() as folder:
            make_snapshot(folder, vcpus)
            with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
                load(one, folder, resume_vm=True)
                load(two, folder)
                expect(two.api.get("/")["state"] == "Paused", "without resume_vm it is paused")
                count(one, 2)
                count(one, 3)
                two.api.patch("/vm", state="Resumed")
                count(two, 2)
                count(one, 4)
                for vmm in (one, two):
                    vmm.process.stdin.write(b"q")
                    vmm.process.stdin.flush()
                    expect(vmm.wait_end() == 7, "the program's exit code")


def watch_time(vmm):
    """The program looks at the time once more: it goes on, and the vDSO agrees with the system calls."""
    vmm.process.stdin.write(b"x")
    vmm.process.stdin.flush()
    vmm.wait_for(b"watch 1 1\n")


@test("snapshot: the vDSO's time goes on, and agrees with the system calls")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source.socket") as vmm:
            boot_counter(vmm, folder, "vdso", "-- watch")
            vmm.wait_for(b"watch 1 1\n")
            watch_time(vmm)
            wait_until_halted(vmm)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
        for name in ("a", "b"):
            with ApiVmm(folder, *NO_LOG, socket_name=name) as vmm:
                load(vmm, folder, resume_vm=True)
                watch_time(vmm)
                watch_time(vmm)


@test("snapshot: a microVM goes on after its snapshot, and the snapshot of a restored one restores")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source.socket") as vmm:
            start_counter(vmm, folder)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
            vmm.api.patch("/vm", state="Resumed")
            count(vmm, 1)
        for round_number in range(3):
            with ApiVmm(folder, *NO_LOG, socket_name=f"round{round_number}") as vmm:
                load(vmm, folder, resume_vm=True)
                count(vmm, round_number + 1)
                vmm.api.patch("/vm", state="Paused")
                vmm.api.put("/snapshot/create", **names(folder))
        expect(sorted(os.listdir(folder)) == ["initramfs", "memory", "round0", "round1", "round2", "source.socket",
                                              "state"], f"what is left: {os.listdir(folder)}")


def make_live_snapshot(vmm, folder, name=""):
    """A snapshot of a guest that runs on; call finish_live_snapshot() for its files."""
    vmm.api.put("/snapshot/create", resume_vm=True, **names(folder, name))
    expect(vmm.api.get("/")["state"] == "Running", "it runs")


def expect_goes_on(folder, name, number):
    """The snapshot's program counts on to `number`, which is the next, and finds its memory intact."""
    with ApiVmm(folder, *NO_LOG, socket_name=f"{name}restored") as vmm:
        load(vmm, folder, name, resume_vm=True)
        count(vmm, number)
        count(vmm, number + 1)


@test("snapshot: written behind a guest that writes over all its memory, it is what was at its moment")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            start_counter(vmm, folder)
            expect(vmm.api.get("/snapshot/create")["state"] == "None", "before the first")
            for number, name in ((1, "first-"), (4, "second-")):  # of memory that is shared, and that is a copy
                make_live_snapshot(vmm, folder, name)
                for more in range(3):
                    count(vmm, number + more)
                expect(0 < finish_live_snapshot(vmm) < 30e6 * TIME_SCALE, "the pause")
                expect(os.stat(names(folder, name)["mem_file_path"]).st_blocks * 512 < 40 << 20, "holes for zeros")
            vmm.api.patch("/vm", state="Paused")
            make_live_snapshot(vmm, folder, "third-")
            finish_live_snapshot(vmm)
            count(vmm, 7)
        for number, name in ((1, "first-"), (4, "second-"), (7, "third-")):
            expect_goes_on(folder, name, number)
        with ApiVmm(folder, *NO_LOG, socket_name="again") as vmm:
            load(vmm, folder, "second-", resume_vm=True)
            count(vmm, 4)
            make_live_snapshot(vmm, folder, "of-restored-")
            count(vmm, 5)
            finish_live_snapshot(vmm)
        expect_goes_on(folder, "of-restored-", 5)
        expect(not [name for name in os.listdir(folder) if name.endswith((".new", ".old"))], f"{os.listdir(folder)}")


def taken_mib(vmm):
    """What the guest's memory takes of the host: its memfd, and the process's own copies of pages."""
    def is_memory(link):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            return os.readlink(link).startswith("/memfd:shoal-guest-ram")

    memfd = next(filter(is_memory, pathlib.Path(f"/proc/{vmm.process.pid}/fd").iterdir()))
    rollup = pathlib.Path(f"/proc/{vmm.process.pid}/smaps_rollup").read_text()
    return (memfd.stat().st_blocks * 512 >> 20) + (int(re.search(r"^Anonymous: +(\d+)", rollup, re.M)[1]) >> 10)


def wait_for_taken(vmm, is_wanted, what):
    deadline = time.monotonic() + 30 * TIME_SCALE
    while not is_wanted(taken := taken_mib(vmm)):
        expect(time.monotonic() < deadline, f"{what}: {taken} MiB are taken")
        time.sleep(0.02)


@test("snapshot: once one is written behind a guest, the guest's memory is there once, and what it frees is not")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG) as vmm:
        def step(word):
            vmm.process.stdin.write(b"\n")
            vmm.process.stdin.flush()
            vmm.wait_for(word)

        def save(name):
            make_live_snapshot(vmm, folder, name)
            finish_live_snapshot(vmm)

        vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=True, free_page_reporting=True)
        vmm.api.put("/machine-config", vcpu_count=1, mem_size_mib=256)
        vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=write_program(folder, "give_back"),
                    boot_args=f"console=ttyS0 quiet panic=1 rdinit=/init -- large {TAKEN_MIB}")
        vmm.start()
        vmm.wait_for(b"taken")
        wait_for_taken(vmm, lambda mib: TAKEN_MIB <= mib < TAKEN_MIB + 30, "what it has taken is in use")
        save("first-")
        step(b"freed")  # of a copy from now on
        step(b"taken")
        save("second-")  # knows what has been replaced since the first one
        wait_for_taken(vmm, lambda mib: TAKEN_MIB <= mib < TAKEN_MIB + 30, "what was written anew is there once")
        step(b"freed")
        save("third-")
        wait_for_taken(vmm, lambda mib: mib < 30, "what is free is the host's")
        with ApiVmm(folder, *NO_LOG, socket_name="restored") as other:
            load(other, folder, "second-", resume_vm=True)
            other.process.stdin.write(b"\n")
            other.process.stdin.flush()
            other.wait_for(b"freed")


@test("snapshot: one that cannot be written behind the guest leaves it running, and the old one whole")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
            load(vmm, folder, resume_vm=True)
            vmm.api.expect_fault_with(["Create snapshot error: ", "nowhere"], "PUT", "/snapshot/create",
                                      {**names(os.path.join(folder, "nowhere")), "resume_vm": True})
            count(vmm, 2)
        expect_goes_on(folder, "", 2)


def save_while_it_starts(folder, delay_s):
    """Saves the counting program's microVM so long after its start; what it had said by then."""
    with ApiVmm(folder, *NO_LOG, socket_name="source.socket") as vmm:
        boot_counter(vmm, folder)
        time.sleep(delay_s)  # the moment is what is tested
        vmm.api.patch("/vm", state="Paused")
        vmm.api.put("/snapshot/create", **names(folder))
        vmm.process.kill()
        while vmm.read_more(30 * TIME_SCALE):
            pass
        return vmm.seen


@test("snapshot: saved at any moment of its start, a program starts and goes on")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    moments = random.Random(seed)
    for _ in range(STARTS):
        delay_s = moments.uniform(0, START_S * TIME_SCALE)
        with temporary_folder() as folder:
            before = save_while_it_starts(folder, delay_s)
            with ApiVmm(folder, *NO_LOG, socket_name="restored.socket") as vmm:
                load(vmm, folder, resume_vm=True)
                vmm.seen = before
                try:
                    vmm.wait_for(b"count 0 0.5\n")
                    count(vmm, 1)
                except Failure as failure:
                    raise Failure(f"SHOAL_TEST_SEED={seed}, saved after {delay_s * 1000:.2f} ms: {failure}") from None


def expect_load_refused(folder, pieces, name="", state=None, **more):
    """The load fails with the pieces in one sentence, and the process ends."""
    paths = names(folder, name)
    with ApiVmm(folder, *NO_LOG, socket_name="refused.socket") as vmm:
        vmm.api.expect_fault_with(["Load snapshot error: ", *pieces], "PUT", "/snapshot/load", {
            "snapshot_path": state or paths["snapshot_path"],
            "mem_backend": {"backend_type": "File", "backend_path": paths["mem_file_path"]}, **more})
        expect(vmm.wait_end() == 1, "the process ends")
    os.unlink(os.path.join(folder, "refused.socket"))


@test("snapshot: damaged, truncated and foreign files and a lesser CPU are refused, and the process ends")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        paths = names(folder)
        good = pathlib.Path(paths["snapshot_path"]).read_bytes()
        bad = os.path.join(folder, "bad")
        for content, piece in ((good[:-1], "damaged"), (good[:20], "too early"), (b"", "too early"),
                               (b"#!/bin/sh\n" * 9, "no state"), (good + b"x", "damaged"),
                               (good[:3000] + bytes([good[3000] ^ 4]) + good[3001:], "damaged")):
            pathlib.Path(bad).write_bytes(content)
            expect_load_refused(folder, [bad, piece], state=bad)
        expect(put_together(take_apart(good)) == good, "a state that is put together again")
        pathlib.Path(bad).write_bytes(with_cpuid_bit(good, 0x40000001, 0, 2))
        expect_load_refused(folder, ["this host's CPU lacks what the guest may use: kvm_mmu"], state=bad)
        expect_load_refused(folder, ["nowhere"], state=os.path.join(folder, "nowhere"))
        expect_load_refused(folder, ["Unknown Network Device: n"],
                            network_overrides=[{"iface_id": "n", "host_dev_name": "t"}])
        with open(paths["mem_file_path"], "r+b") as file:
            file.truncate(1 << 20)
        expect_load_refused(folder, ["memory", "another snapshot"])


@test("snapshot: what the API refuses leaves the process as it was")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG) as vmm:
        api = vmm.api
        both = {**names(folder), "mem_backend": {"backend_type": "File", "backend_path": "m"}}
        api.expect_fault_with(["too many fields"], "PUT", "/snapshot/load", both)
        api.expect_fault_with(["missing field: either"], "PUT", "/snapshot/load", {"snapshot_path": "s"})
        api.put("/machine-config", vcpu_count=1, mem_size_mib=128)
        api.expect_fault("Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific "
                         "resources.", "PUT", "/snapshot/load", names(folder))
        start_counter(vmm, folder)
        api.expect_fault("Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore "
                         "unavailable while running", "PUT", "/snapshot/create", names(folder))
        api.patch("/vm", state="Paused")
        api.expect_fault_with(["Create snapshot error: ", "nowhere"], "PUT", "/snapshot/create",
                              names(os.path.join(folder, "nowhere")))
        api.patch("/vm", state="Resumed")
        count(vmm, 1)


def put_devices(api, folder):
    """One of every device that a microVM without a TAP may have."""
    with open(os.path.join(folder, "disk"), "wb") as file:
        file.truncate(1 << 20)
    api.put("/machine-config", vcpu_count=2, mem_size_mib=64)
    api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=os.path.join(folder, "disk"),
            rate_limiter={"ops": {"size": 9, "refill_time": 100}})
    api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
    api.put("/entropy")
    api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1)


@test("snapshot: the configuration with every device comes back, and the vsock's path may be another")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="source.socket") as vmm:
            put_devices(vmm.api, folder)
            vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
            vmm.start()
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
            before = vmm.api.get("/vm/config")
        other = os.path.join(folder, "other")
        with ApiVmm(folder, *NO_LOG, socket_name="restored.socket") as vmm:
            load(vmm, folder, resume_vm=True, vsock_override={"uds_path": other})
            after = vmm.api.get("/vm/config")
            before["vsock"]["uds_path"] = other
            expect(after == before, f"the configuration: {after}, not {before}")
            expect(os.path.exists(other) and vmm.api.get("/")["state"] == "Running", "it runs, and listens")
            vmm.api.patch("/drives/d", drive_id="d", path_on_host=os.path.join(folder, "disk"))
            vmm.api.fault("PUT", "/snapshot/load", names(folder))


def boot_server(vmm, folder, tap):
    """busybox's nc, which prints what the first client sends to port 7."""
    archive = cpio.Archive()
    archive.copy("busybox", BUSYBOX)
    path = os.path.join(folder, "initramfs")
    with open(path, "wb") as file:
        file.write(archive.bytes())
    vmm.api.put("/network-interfaces/n", iface_id="n", host_dev_name=tap.name, guest_mac=tap.guest_mac)
    vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=path,
                boot_args=f"console=ttyS0 quiet rdinit=/busybox ip={tap.guest_address}::{tap.host_address}:255.255.255.0:::off "
                "-- nc -l -p 7")
    vmm.start()
    wait_until_halted(vmm)


@test("snapshot: a server is loaded onto another TAP, and answers there")
def _():
    need_network()
    with temporary_folder() as folder, Network(taps=2) as network:
        first, second = network.taps
        address = f"{first.host_address}/{first.prefix_bits}"
        with ApiVmm(folder, *NO_LOG, command=network.command, socket_name="source") as vmm:
            boot_server(vmm, folder, first)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
            network.ip("address", "del", address, "dev", first.name)
            network.ip("address", "add", address, "dev", second.name)
            with ApiVmm(folder, *NO_LOG, command=network.command, socket_name="restored") as restored:
                load(restored, folder, resume_vm=True,
                     network_overrides=[{"iface_id": "n", "host_dev_name": second.name}])
                expect(restored.api.get("/vm/config")["network-interfaces"][0]["host_dev_name"] == second.name, "the TAP")
                with network.socket() as client:
                    client.settimeout(30 * TIME_SCALE)
                    client.connect((first.guest_address, 7))
                    client.sendall(b"hello\n")
                    restored.wait_for(b"hello\n")


def reap_orphans():
    """Those of processes that were killed: they have to die with them."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            expect(time.monotonic() < deadline, "the process that wrote a snapshot lives on")
            if pid == 0:
                time.sleep(0.001)


@test("snapshot: killed while it writes one, a process leaves the old snapshot or the new one")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        for delay_ms, resume_vm in itertools.product(KILLED_AFTER_MS, (False, True)):
            with ApiVmm(folder, *NO_LOG, socket_name="killed") as vmm:
                load(vmm, folder)
                with contextlib.closing(vmm.api.connect()) as connection:
                    body = {**names(folder), "resume_vm": resume_vm}
                    connection.request("PUT", "/snapshot/create", json.dumps(body))
                    select.select([connection.sock], [], [], delay_ms / 1000)
                    vmm.process.kill()
                    vmm.process.wait()
                    reap_orphans()
            os.unlink(os.path.join(folder, "killed"))
            with ApiVmm(folder, *NO_LOG, socket_name="after") as vmm:
                load(vmm, folder, resume_vm=True)
                count(vmm, 2)
            os.unlink(os.path.join(folder, "after"))
