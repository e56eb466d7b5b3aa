"""Live migration: a running microVM goes on in another process, and never in two."""
import itertools
import os
import random
import time

from api import ApiVmm
from certificates import make_authority, make_certificate
from harness import PROGRAMS, TIME_SCALE, UNIKERNEL, Failure, expect, temporary_folder, test
from migration_calls import OVER, expect_one_sequence, listen, move, read_all, send, wait_for_phase
from migration_wire import Wire
from test_snapshots import NO_LOG, count, start_counter

import cpio


def start_generations(vmm, folder, mib=8, mb_per_s=0, memory_mib=64, disk=""):
    """Boots the program that ticks and checks its memory."""
    archive = cpio.Archive()
    archive.copy("init", PROGRAMS / "generations")
    initramfs = os.path.join(folder, "initramfs")
    with open(initramfs, "wb") as file:
        file.write(archive.bytes())
    vmm.api.put("/machine-config", vcpu_count=1, mem_size_mib=memory_mib)
    vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=initramfs,
                boot_args=f"console=ttyS0 quiet panic=1 rdinit=/init -- {mib} {mb_per_s} {disk}")
    vmm.start()
    wait_for_ticks(vmm, 1)


def wait_for_ticks(vmm, number):
    """Until so many have come; nothing of what was seen is taken."""
    while vmm.seen.count(b"tick") < number:
        expect(vmm.read_more(30), f"the ticks stop: {vmm.seen[-200:]!r}")


@test("migration: a program goes on in another process, and the first one ends with 164")
def _():
    with temporary_folder() as folder:
        wire = os.path.join(folder, "wire")
        with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            start_counter(one, folder)
            count(one, 1)
            listen(two, wire)
            send(one, wire)
            expect(one.wait_end() == 164, "the exit code of a process whose guest was handed over")
            expect(f"the guest runs at unix:{wire} now" in one.errors(), "what it says")
            wait_for_phase(two, "Running")
            count(two, 2)
            count(two, 3)
            expect(two.api.get("/")["state"] == "Running", "the state")
            expect(two.api.get("/vm/config")["boot-source"]["kernel_image_path"] == UNIKERNEL, "the configuration")
            two.process.stdin.write(b"q")
            two.process.stdin.flush()
            expect(two.wait_end() == 7, "the program's exit code")


def kill(vmms):
    for vmm in vmms:
        vmm.process.kill()
        vmm.process.wait()


def move_around(folder, vmm, times, start):
    """Moves a guest through so many new processes; all that it said. Ends the last one."""
    said = b""
    try:
        start(vmm)
        for number in range(times):
            other = ApiVmm(folder, *NO_LOG, socket_name=f"process{number}")
            try:
                move(vmm, other, folder)
            except BaseException:
                other.close()
                raise
            kill([vmm])
            said += read_all(vmm)
            vmm.close()
            vmm = other
            wait_for_ticks(vmm, 3)
        kill([vmm])
        return said + read_all(vmm)
    finally:
        vmm.close()


@test("migration: there and back twenty times while the guest writes, its memory intact and no tick lost")
def _():
    with temporary_folder() as folder:
        vmm = ApiVmm(folder, *NO_LOG, socket_name="start")
        said = move_around(folder, vmm, 20, lambda one: start_generations(one, folder, mib=16, mb_per_s=50))
        expect(expect_one_sequence(said) > 60, "ticks")


@test("migration: what a disk's requests in flight brought is there after each of ten moves")
def _():
    def start(vmm):
        vmm.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=disk, io_engine="Async")
        start_generations(vmm, folder, mib=4, disk="/dev/vda")
        wait_for_ticks(vmm, 80)

    with temporary_folder() as folder:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(4 << 20)
        said = move_around(folder, ApiVmm(folder, *NO_LOG, socket_name="start"), 10, start)
        expect(expect_one_sequence(said) > 110, "ticks")


def runs_at(destination):
    """Whether the guest runs there: it says so, or ends."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while destination.process.poll() is None:
        try:
            phase = destination.api.get("/migration")["phase"]
            if phase == "Waiting":
                destination.api.request("PUT", "/migration/cancel", "{}")  # it has not heard a word
        except OSError:
            continue  # it is about to end
        if phase == "Running":
            return True
        expect(time.monotonic() < deadline, f"the destination stays in {phase}")
        time.sleep(0.001)
    return False


def settle(source, destination, was_given):
    """Where the guest runs when all is over: at the source, at the destination. In doubt the source is told; a
    destination that died after it was given the guest may have run it."""
    there = runs_at(destination)
    if source.process.poll() is not None:
        return False, there
    try:
        phase = wait_for_phase(source, *OVER)["phase"]
        if phase == "InDoubt":
            source.api.put("/migration/resolve", guest_runs="There" if was_given else "Here")
            phase = "HandedOver" if was_given else "Resumed"
    except OSError:
        phase = "HandedOver"
    if phase == "HandedOver":
        expect(source.wait_end() == 164, "the exit code after the hand-over")
    return phase == "Resumed", there


def break_at(point, folder):
    """One migration that is broken at a point; all that the guest said."""
    kind, count_of_kind, crosses, victim = point
    with ApiVmm(folder, *NO_LOG, socket_name="a") as source, ApiVmm(folder, *NO_LOG, socket_name="b") as destination:
        victims = {"source": [source], "destination": [destination], "wire": []}[victim]
        with Wire(folder, kind, count_of_kind, crosses, lambda: kill(victims)) as wire:
            start_generations(source, folder, mib=8, mb_per_s=50)
            listen(destination, wire.back)
            send(source, wire.front, max_downtime_ms=1000)
            expect(wire.reached.wait(30 * TIME_SCALE), "the message never comes")
            was_given = kind == "taken" or (kind == "commit" and crosses)
            here, there = settle(source, destination, was_given)
            expect(not (here and there), "it runs on both sides")
            expect(here or there or victim == ("destination" if was_given else "source"), "it runs on neither side")
            for runs, vmm in ((here, source), (there, destination)):
                if runs:
                    wait_for_ticks(vmm, vmm.seen.count(b"tick") + 3)
            kill([source, destination])
            return read_all(source) + read_all(destination)


@test("migration: whoever dies and wherever the wire is cut, exactly one side runs the guest")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    pick = random.Random(seed)
    kinds = ("hello", "accept", "pages", "state", "ready", "commit", "taken")
    for kind, crosses, victim in itertools.product(kinds, (False, True), ("wire", "source", "destination")):
        point = kind, pick.randrange(12) if kind == "pages" else 0, crosses, victim
        with temporary_folder() as folder:
            try:
                expect_one_sequence(break_at(point, folder))
            except Failure as failure:
                raise Failure(f"SHOAL_TEST_SEED={seed}, {point}: {failure}") from None


@test("migration: while one goes on, nobody else changes the guest, and a cancel leaves it where it was")
def _():
    with temporary_folder() as folder:
        wire = os.path.join(folder, "wire")
        with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            start_generations(one, folder, mib=16)
            listen(two, wire)
            send(one, wire, max_bytes_per_s=1 << 20)
            wait_for_phase(one, "Copying")
            expect(wait_for_phase(two, "Receiving")["address"] == f"unix:{wire}", "where it listens")
            for vmm in (one, two):
                vmm.api.expect_fault_with(["while a migration is going on"], "PATCH", "/vm", {"state": "Resumed"})
                vmm.api.expect_fault_with(["while a migration is going on"], "PUT", "/migration/send",
                                          {"destination": f"unix:{wire}"})
            one.api.put("/migration/cancel")
            status = wait_for_phase(one, "Resumed")
            expect(status["failure"] == "it was cancelled", f"the status: {status}")
            expect(two.wait_end() == 1, "the exit code of a destination that was left")
            wait_for_ticks(one, one.seen.count(b"tick") + 3)
            expect(one.api.get("/")["state"] == "Running", "the state")
        with ApiVmm(folder, *NO_LOG, socket_name="c") as three:
            three.api.put("/migration/receive", listen="tcp:127.0.0.1:0", plain=True)
            address = three.api.get("/migration")["address"]
            expect(address.startswith("tcp:127.0.0.1:") and not address.endswith(":0"), f"the address: {address}")
            three.api.put("/migration/cancel")
            expect(three.wait_end() == 1, "the exit code after a cancel")
            expect("migration: it was cancelled" in three.errors(), "what it says")


@test("migration: over TCP, plain only when asked for; and what is refused leaves both as they were")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            start_generations(one, folder)
            for body, piece in (({"destination": "tcp:127.0.0.1:1"}, "in plain"), ({"destination": "here"}, "neither"),
                                ({"destination": "tcp:localhost:1", "plain": True}, "no IPv4 or IPv6 address"),
                                ({"destination": f"unix:{folder}/nobody"}, "cannot connect"),
                                ({"destination": "tcp:127.0.0.1:99999"}, "neither")):
                one.api.expect_fault_with(["Migration error: ", piece], "PUT", "/migration/send", body)
            two.api.expect_fault_with(["cannot listen"], "PUT", "/migration/receive", {"listen": f"unix:{folder}/a"})
            two.api.put("/migration/receive", listen="tcp:127.0.0.1:0", plain=True)
            one.api.put("/migration/send", destination=two.api.get("/migration")["address"], plain=True)
            expect(one.wait_end() == 164, "the exit code")
            wait_for_phase(two, "Running")
            wait_for_ticks(two, 3)
            kill([two])
            expect_one_sequence(read_all(one) + read_all(two))


@test("migration: a guest whose file is missing at the destination stays where it is")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        one.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=disk)
        start_generations(one, folder)
        os.unlink(disk)
        with ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            wire = os.path.join(folder, "wire")
            listen(two, wire)
            send(one, wire)
            expect("the destination refused: " in wait_for_phase(one, "Resumed")["failure"], "why")
            expect(two.wait_end() == 1, "the exit code")
            wait_for_ticks(one, one.seen.count(b"tick") + 3)


@test("migration: over TLS with certificates on both sides, and a peer without a proper one is refused")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one:
        make_authority(folder, "ours")
        make_authority(folder, "theirs")
        source = make_certificate(folder, "ours", "source", "DNS:source")
        destination = make_certificate(folder, "ours", "destination", "IP:127.0.0.1")
        elsewhere = make_certificate(folder, "ours", "elsewhere", "IP:127.0.0.2,DNS:elsewhere")
        stranger = {**make_certificate(folder, "theirs", "stranger", "IP:127.0.0.1"),
                    "authority_path": source["authority_path"]}
        start_generations(one, folder, mib=16, mb_per_s=50)
        one.api.expect_fault_with(["Migration error: the certificate /nowhere: "], "PUT", "/migration/send",
                                  {"destination": "tcp:127.0.0.1:1", "tls": {**source, "certificate_path": "/nowhere"}})
        one.api.expect_fault_with(["Migration error: the key "], "PUT", "/migration/send",
                                  {"destination": "tcp:127.0.0.1:1", "tls": {**source, "key_path": stranger["key_path"]}})

        def expect_refused(address, piece, **more):
            one.api.put("/migration/send", destination=address, **more)
            failure = wait_for_phase(one, "Resumed")["failure"]
            expect(piece in failure, f"{failure!r} instead of {piece!r}")

        with ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            two.api.put("/migration/receive", listen="tcp:127.0.0.1:0", tls=stranger)
            address = two.api.get("/migration")["address"]
            expect_refused(address, "unable to get local issuer certificate", tls=source)
        with ApiVmm(folder, *NO_LOG, socket_name="c") as two:
            two.api.put("/migration/receive", listen="tcp:127.0.0.1:0", tls=elsewhere)
            address = two.api.get("/migration")["address"]
            expect_refused(address, "IP address mismatch", tls=source)
            one.api.put("/migration/send", destination=address, tls=source, peer_name="elsewhere",
                        max_bytes_per_s=1 << 20)
            wait_for_phase(one, "Copying")
            one.api.put("/migration/cancel")
            wait_for_phase(one, "Resumed")
        with ApiVmm(folder, *NO_LOG, socket_name="d") as two:
            two.api.put("/migration/receive", listen="tcp:127.0.0.1:0", tls=destination)
            address = two.api.get("/migration")["address"]
            expect_refused(address, "lost", plain=True)
            expect_refused(address, "lost", tls=stranger)
            one.api.put("/migration/send", destination=address, tls=source)
            expect(one.wait_end() == 164, "the exit code")
            wait_for_phase(two, "Running")
            wait_for_ticks(two, 3)
            kill([two])
            expect_one_sequence(read_all(one) + read_all(two))
