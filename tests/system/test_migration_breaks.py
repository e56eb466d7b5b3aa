"""Live migration of every kind, broken at moments that a seed draws: before a message, after it, or inside; exactly one runs."""
import collections
import os
import random

import test_post_copy
from certificates import make_authority, make_certificate
from harness import TIME_SCALE, Failure, expect, temporary_folder, test
from migration_break import break_at
from migration_calls import expect_one_sequence, start_generations
from test_migration_drives import DISK_BYTES, make_disk, start_with_disk, to

BREAKS = int(os.environ.get("SHOAL_BREAKS", 40 / TIME_SCALE))  # 300 take minutes
VICTIMS = ("wire", "source", "destination")

# Messages, and how many of them there are at the least, or nearly.
ALWAYS = {"hello": 1, "accept": 1, "pages": 30, "zero_pages": 2, "state": 1, "ready": 1, "commit": 1, "taken": 1}
MESSAGES = {
    "plain": ALWAYS,
    "zstd": {**ALWAYS, "packed": 10},
    "four lanes": {**ALWAYS, "join": 3, "sync": 3},
    "TLS": {"record": 600, "record_back": 12},
    "copied drive": {**ALWAYS, "pages": 2, "drive_pages": 2, "drive_zero_pages": 1, "sync": 1, "synced": 1},
    "refused": {"hello": 1, "refused": 1},
    "post-copy": {},
}
MORE = {"zstd": {"compression": "Zstd"}, "four lanes": {"connections": 4}}

Break = collections.namedtuple("Break", "configuration kind count share victim")


def draw(pick):
    configuration = pick.choice(list(MESSAGES))
    share = pick.choice((0, 1, pick.uniform(0.001, 0.999)))
    victim = pick.choice(VICTIMS)
    if configuration == "post-copy":
        kind, count, _ = pick.choice(list(test_post_copy.EXPECTED))
        return Break(configuration, kind, count, share, victim)
    kind = pick.choice(list(MESSAGES[configuration]))
    return Break(configuration, kind, pick.randrange(MESSAGES[configuration][kind]), share, victim)


def break_with_drive(one, folder, more):
    path, copy = make_disk(folder), os.path.join(folder, "copy")
    said, place = break_at(one[1:], folder, lambda vmm: start_with_disk(vmm, folder, path), to(copy), is_certain=False,
                           copied_drives=["d"], **more)
    is_gone = one.victim == "destination"  # it cannot take its file away
    expect(place == "destination" or is_gone or not os.path.exists(copy), "the copy is left")
    expect(place != "destination" or os.stat(copy).st_size == DISK_BYTES, "the copy's size")
    return said


def break_once(one, folder, certificates):
    if one.configuration == "post-copy":
        expected = test_post_copy.EXPECTED[one.kind, one.count, one.share == 1]
        test_post_copy.break_at((one.kind, one.count, one.share), one.victim, expected)
        return
    if one.configuration == "copied drive":
        expect_one_sequence(break_with_drive(one, folder, {}))
        return
    place, more = {}, MORE.get(one.configuration, {})
    if one.configuration == "TLS":
        place = {"tls": certificates["destination"], "peer_name": "source"}
        more = {"tls": certificates["source"], "peer_name": "destination"}
    if one.configuration == "refused":
        place = {"drive_overrides": [{"drive_id": "e", "path_on_host": "/e"}]}
    said, where = break_at(one[1:], folder, lambda vmm: start_generations(vmm, folder, mib=8, mb_per_s=50), place,
                           is_certain=False, **more)
    expect(one.configuration != "refused" or where != "destination", "it runs where it was refused")
    expect_one_sequence(said)


@test(f"migration: broken {BREAKS} times at moments of a seed, with zstd, lanes, TLS, drives, post-copy: exactly one side runs the guest")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"        SHOAL_TEST_SEED={seed} SHOAL_BREAKS={BREAKS}", flush=True)
    pick = random.Random(seed)
    with temporary_folder() as authority:
        make_authority(authority, "ours")
        certificates = {side: make_certificate(authority, "ours", side, f"DNS:{side}") for side in ("source", "destination")}
        for number in range(BREAKS):
            one = draw(pick)
            with temporary_folder() as folder:
                try:
                    break_once(one, folder, certificates)
                except Failure as failure:
                    raise Failure(f"SHOAL_TEST_SEED={seed}, break {number}, {one}: {failure}") from None
