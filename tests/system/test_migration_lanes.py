"""Live migration over several connections, and compressed."""
import os
import random

from api import ApiVmm
from certificates import make_authority, make_certificate
from harness import TIME_SCALE, Failure, expect, temporary_folder, test
from migration_calls import (NO_LOG, expect_one_sequence, kill, listen, move, read_all, send, start_generations,
                             wait_for_phase, wait_for_ticks)
from migration_wire import Wire


def move_with(folder, **more):
    """One move of a guest that writes; the status."""
    with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
        start_generations(one, folder, mib=16, mb_per_s=50)
        status = move(one, two, folder, **more)
        kill([one])
        wait_for_ticks(two, 10)
        kill([two])
        expect_one_sequence(read_all(one) + read_all(two))
        return status


@test("migration: over several connections, with zstd, and both, the guest's memory is intact")
def _():
    for more in ({"connections": 4}, {"compression": "Zstd"}, {"connections": 8, "compression": "Zstd"}):
        with temporary_folder() as folder:
            status = move_with(folder, **more)
            expect(status["pages"] > 4096, f"the status: {status}")


@test("migration: over several connections with TLS")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one:
        make_authority(folder, "ours")
        source = make_certificate(folder, "ours", "source", "DNS:source")
        destination = make_certificate(folder, "ours", "destination", "IP:127.0.0.1")
        start_generations(one, folder, mib=16, mb_per_s=50)
        for body, piece in (({"connections": 9}, "integer `9`"), ({"compression": "Gzip"}, "Gzip")):
            one.api.expect_fault_with([piece], "PUT", "/migration/send", {"destination": "tcp:127.0.0.1:1", **body})
        with ApiVmm(folder, *NO_LOG, socket_name="b") as two:
            two.api.put("/migration/receive", listen="tcp:127.0.0.1:0", tls=destination, peer_name="source")
            one.api.put("/migration/send", destination=two.api.get("/migration")["address"], tls=source, connections=3,
                        compression="Zstd")
            expect(one.wait_end() == 164, "the exit code")
            wait_for_phase(two, "Running")
            wait_for_ticks(two, 10)
            kill([two])
            expect_one_sequence(read_all(one) + read_all(two))


@test("migration: any of several connections lost before the commit leaves the guest where it is")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    pick = random.Random(seed)
    for kind, most in (("join", 2), ("join", 2), ("pages", 30), ("pages", 30), ("pages", 30), ("sync", 2), ("sync", 2)):
        point = kind, pick.randrange(most), pick.random() < 0.5
        with (temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one,
              ApiVmm(folder, *NO_LOG, socket_name="b") as two, Wire(folder, *point, cuts_one=True) as wire):
            try:
                start_generations(one, folder, mib=16, mb_per_s=50)
                listen(two, wire.back)
                send(one, wire.front, connections=3, after_hand_over="Stay")
                expect(wire.reached.wait(30 * TIME_SCALE), "the message never comes")
                status = wait_for_phase(one, "Resumed", "HandedOver")
                # All that was to come over it had come.
                expect(status["phase"] == "Resumed" or (kind == "sync" and point[2]), f"the status: {status}")
                runs = one if status["phase"] == "Resumed" else two
                wait_for_ticks(runs, runs.seen.count(b"tick") + 10)
                kill([one])
                expect(runs is two or two.wait_end() == 165, "the exit code of the destination")
                kill([two])
                expect_one_sequence(read_all(one) + read_all(two))
            except Failure as failure:
                raise Failure(f"SHOAL_TEST_SEED={seed}, {point}: {failure}") from None
