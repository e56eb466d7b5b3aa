"""The guest of test_hostile.py against devices that need somebody at the other end: a console, a served disk."""
import contextlib
import os
import subprocess
import threading
import time

import vhost_user
from harness import TIME_SCALE, VMM, expect, temporary_folder, test
from test_hostile import (DEADLINE_S, DISK_BYTES, GUEST, IS_FAST, MEMORY_MIB, PRIVATE_BYTES_MAX, SANITIZED_PRIVATE_BYTES_MAX,
                          SANITIZED_VMM, SANITIZER_OPTIONS, SURVIVED, Victim, hammer, new_seed, shorten_more)

CPUS = 2
# What a monitor may have for itself.
PRIVATE_MAX = {VMM: PRIVATE_BYTES_MAX, SANITIZED_VMM: SANITIZED_PRIVATE_BYTES_MAX}
# A reset of a disk whose indices the guest has forged takes a second.
DISK_ROUNDS = 10
CONSOLE_ROUNDS = 300


def command_line(seed, rounds):
    return f"hostile.seed={seed} hostile.rounds={rounds} hostile.cpus={CPUS}"


def feed(pipe):
    with contextlib.suppress(OSError), pipe:
        while True:
            pipe.write(os.urandom(4096))


def count_to_end(pipe, into):
    with pipe:
        while data := pipe.read1(65536):
            into.append(len(data))


def read_to_end(pipe, into):
    with pipe:
        into.append(pipe.read())


def private_bytes(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
    return 0


def attack_console(vmm, seed):
    process = subprocess.Popen(
        [vmm, "--kernel", str(GUEST), "--console", "virtio", "--vcpus", str(CPUS), "--memory", str(MEMORY_MIB[CPUS]),
         "--cmdline", command_line(seed, CONSOLE_ROUNDS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **SANITIZER_OPTIONS})
    written, errors = [], []
    helpers = [threading.Thread(target=feed, args=(process.stdin,), daemon=True),
               threading.Thread(target=count_to_end, args=(process.stdout, written), daemon=True),
               threading.Thread(target=read_to_end, args=(process.stderr, errors), daemon=True)]
    for helper in helpers:
        helper.start()
    most = 0
    deadline = time.monotonic() + DEADLINE_S * TIME_SCALE
    try:
        while process.poll() is None and time.monotonic() < deadline:
            most = max(most, private_bytes(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
    finally:
        process.kill()
    code = process.wait()
    for helper in helpers[1:]:
        helper.join(DEADLINE_S)
    what = f"seed {seed}: "
    said = b"".join(errors)
    expect(code == SURVIVED and said == b"", f"{what}exit code {code}, stderr {shorten_more(said)}")
    expect(most <= PRIVATE_MAX[vmm], f"{what}{most >> 20} MiB of private memory")
    print(f"        seed {seed}: {sum(written) >> 10} KiB of output, private memory at most {most / (1 << 20):.1f} MiB",
          flush=True)


class HostOfDisk:
    """What the operator does meanwhile."""

    def __init__(self, victim):
        self.victim = victim

    def act(self):
        self.victim.api.request("PATCH", "/drives/served", {"drive_id": "served"})
        self.victim.api.request("GET", "/metrics")


def attack_disk(folder, vmm, seed, socket_path):
    """To the guest's end, whatever happens to the backend."""
    # The log is about the guest, and not about our requests.
    with Victim(folder, vmm, None, "Error") as victim:
        victim.wait_for_api()
        victim.api.put("/drives/served", drive_id="served", is_root_device=False, socket=str(socket_path))
        victim.api.put("/machine-config", vcpu_count=CPUS, mem_size_mib=MEMORY_MIB[CPUS])
        victim.api.put("/boot-source", kernel_image_path=str(GUEST), boot_args=command_line(seed, DISK_ROUNDS))
        victim.api.put("/actions", action_type="InstanceStart")
        answers, most_bytes = hammer(victim, HostOfDisk(victim))
        code = victim.process.wait(DEADLINE_S)
        what = f"seed {seed}: "
        expect(code == SURVIVED, what + victim.said())
        said = (victim.folder / "out").read_bytes() + (victim.folder / "err").read_bytes()
        expect(said == b"", what + shorten_more(said))
        expect(most_bytes <= PRIVATE_MAX[vmm], f"{what}{most_bytes >> 20} MiB of private memory")
        victim.expect_files_untouched({"disk", "disk.socket"})
        print(f"        {what}{answers}", flush=True)


def attack_served_disk(vmm):
    vhost_user.need_storage_daemon()
    with temporary_folder() as folder:
        disk, socket_path = (os.path.join(folder, name) for name in ("disk", "disk.socket"))
        with open(disk, "wb") as file:
            file.truncate(DISK_BYTES)
        with vhost_user.serve_disk(disk, socket_path) as server:
            try:
                attack_disk(folder, vmm, new_seed(), socket_path)
            finally:
                server.kill()


def attack_from_both_sides(vmm, seed):
    with temporary_folder() as folder:
        socket_path = os.path.join(folder, "disk.socket")
        with vhost_user.OddBackend(socket_path, seed, vhost_user.AGREED + seed):
            attack_disk(folder, vmm, seed, socket_path)


@test("a hostile guest attacks its console: the monitor survives and stays small")
def _():
    for seed in (1, new_seed()) if IS_FAST else (new_seed(),):
        attack_console(VMM, seed)


@test("a hostile guest attacks a disk that another process serves: the monitor survives")
def _():
    attack_served_disk(VMM)


@test("a served disk's backend answers nonsense or hangs up: the monitor survives, and so does its guest")
def _():
    for seed in range(8 if IS_FAST else 2):
        attack_from_both_sides(VMM, seed)


@test("a hostile guest attacks the console and the served disk of a monitor with sanitizers, whose backend may be odd")
def _():
    expect(SANITIZED_VMM.exists(), f"there is no {SANITIZED_VMM}: make test builds it")
    attack_console(SANITIZED_VMM, new_seed())
    attack_served_disk(SANITIZED_VMM)
    for seed in (0, 3, new_seed() % 8):
        attack_from_both_sides(SANITIZED_VMM, seed)
