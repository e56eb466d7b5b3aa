"""Live migration as its users ask for it: what is refused, cancelled, encrypted."""
import os

from api import ApiVmm
from certificates import make_authority, make_certificate
from harness import TIME_SCALE, UNIKERNEL, expect, temporary_folder, test
from migration_calls import (NO_LOG, OVER, expect_one_sequence, kill, listen, read_all, send, start_generations, wait_for_phase,
                             wait_for_ticks)
from migration_wire import OtherHello
from state_file import put_together, take_apart, with_cpuid_bit


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
            expect(two.wait_end() == 165, "the exit code of a destination that was left")
            wait_for_ticks(one, one.seen.count(b"tick") + 3)
            expect(one.api.get("/")["state"] == "Running", "the state")
        with ApiVmm(folder, *NO_LOG, socket_name="c") as three:
            three.api.put("/migration/receive", listen="tcp:127.0.0.1:0", plain=True)
            address = three.api.get("/migration")["address"]
            expect(address.startswith("tcp:127.0.0.1:") and not address.endswith(":0"), f"the address: {address}")
            three.api.put("/migration/cancel")
            expect(three.wait_end() == 165, "the exit code after a cancel")
            expect("migration: it was cancelled" in three.errors(), "what it says")


@test("migration: over TCP, plain only when asked for; and what is refused leaves both as they were")
def _():
    with temporary_folder() as folder:
        with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            start_generations(one, folder)
            for body, piece in (({"destination": "tcp:127.0.0.1:1"}, "in plain"), ({"destination": "here"}, "neither"),
                                ({"destination": "tcp:localhost:1", "plain": True}, "no IPv4 or IPv6 address"),
                                ({"destination": f"unix:{folder}/nobody"}, "cannot connect"),
                                ({"destination": f"unix:{folder}/nobody", "max_bytes_per_s": 1048575}, "1048576"),
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
            expect(two.wait_end() == 165, "the exit code")
            wait_for_ticks(one, one.seen.count(b"tick") + 3)


@test("migration: a lesser CPU is refused with the feature's name before a page crosses; a source that tells none is taken")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one:
        start_generations(one, folder)
        with OtherHello(folder, lambda hello: with_cpuid_bit(hello, 0x40000001, 0, 2)) as wire, \
                ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            listen(two, wire.back)
            send(one, wire.front)
            status = wait_for_phase(one, "Resumed")
            expect("the destination refused: this host's CPU lacks what the guest may use: kvm_mmu" in status["failure"]
                   and status["pages"] == status["rounds"] == 0, f"the status: {status}")
            expect(two.wait_end() == 165, "the exit code")
        wait_for_ticks(one, one.seen.count(b"tick") + 3)
        os.unlink(wire.front)

        def without_cpu(hello):
            sections = take_apart(hello)
            expect("cpu" in [section[0] for section in sections], "the source tells its guest's CPU")
            return put_together([section for section in sections if section[0] != "cpu"])

        with OtherHello(folder, without_cpu) as wire, ApiVmm(folder, *NO_LOG, socket_name="c") as two:
            listen(two, wire.back)
            send(one, wire.front)
            expect(one.wait_end() == 164, "the exit code of a source whose guest runs elsewhere")
            wait_for_phase(two, "Running")
            wait_for_ticks(two, 3)
            kill([two])
            expect_one_sequence(read_all(one) + read_all(two))


@test("migration: over TLS with certificates on both sides, and a peer without a proper one is refused")
def _():
    # Neither opens anything elsewhere, whatever OpenSSL would like to.
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG, "--allow", folder, "--allow", UNIKERNEL,
                                              socket_name="a") as one:
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
        with ApiVmm(folder, *NO_LOG, "--allow", folder, socket_name="d") as two:
            two.api.expect_fault_with(["`peer_name`", "needs `tls`"], "PUT", "/migration/receive",
                                      {"listen": "tcp:127.0.0.1:0", "plain": True, "peer_name": "source"})
            two.api.put("/migration/receive", listen="tcp:127.0.0.1:0", tls=destination, peer_name="source")
            address = two.api.get("/migration")["address"]
            expect_refused(address, "lost", plain=True)
            expect_refused(address, "lost", tls=stranger)
            expect_refused(address, "lost", tls=elsewhere)
            one.api.put("/migration/send", destination=address, tls=source)
            expect(one.wait_end() == 164, "the exit code")
            wait_for_phase(two, "Running")
            wait_for_ticks(two, 3)
            kill([two])
            expect_one_sequence(read_all(one) + read_all(two))


@test("migration: the rate and the downtime that are expected fit what is left, and in the end what was sent")
def _():
    with (temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one,
          ApiVmm(folder, *NO_LOG, socket_name="b") as two):
        start_generations(one, folder, mib=24)
        wire = os.path.join(folder, "wire")
        listen(two, wire)
        send(one, wire, max_bytes_per_s=50_000_000, after_hand_over="Stay")
        seen = []
        while (status := one.api.get("/migration"))["phase"] not in OVER:
            expect((status["bytes_per_s"] > 0) == (status["expected_downtime_us"] > 0), f"no rate, no downtime: {status}")
            # Of the first few pages the rate is that of the wire's beginning.
            if status["phase"] == "Copying" and status["pages"] >= 256:
                seen.append(status)
        expect(status["phase"] == "HandedOver" and len(seen) > 2, f"{len(seen)} looks, then {status}")
        for look in seen:
            # The rate is the wire's, without the waits for the limit.
            expect(10e6 / TIME_SCALE < look["bytes_per_s"] < 100e9, f"the rate: {look}")
            rest_us = look["remaining_pages"] * 4096 / look["bytes_per_s"] * 1e6
            expect(0.9 * rest_us <= look["expected_downtime_us"] <= 1.1 * rest_us + 100e3, f"{rest_us} us for the rest: {look}")
        expect(seen[-1]["remaining_pages"] < seen[0]["remaining_pages"], f"what is left: {seen[0]}, {seen[-1]}")
        expect(24 << 20 < status["bytes"] < 64 << 20 and status["pages"] * 4096 < status["bytes"], f"what was sent: {status}")
        expect(status["total_us"] > (status["bytes"] - (8 << 20)) / 50, f"the limit: {status}")
