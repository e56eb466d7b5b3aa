"""States that were tampered with and have proper checksums: the load is refused, or the guest that comes of it ends."""
import concurrent.futures
import itertools
import os
import pathlib
import random
import struct
import subprocess

from api import ApiVmm
from harness import TIME_SCALE, Failure, expect, temporary_folder, test
from snapshot_calls import names
from state_file import CPUID_ENTRY, put_together, take_apart
from test_snapshots import NO_LOG, boot_counter, wait_until_halted

LOADS = int(os.environ.get("SHOAL_TEST_LOADS", "200" if TIME_SCALE == 1 else "10"))
AT_ONCE = 4
RUNS_S = 0.05  # how long a guest that was loaded may run before it is ended
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFEE00000,
           0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF)
REGISTERS_BYTES = 600  # what stands behind the CPUID: general and special registers


def places(name, payload):
    """From where to where a change goes: a vCPU's registers and CPUID are as likely as what is larger."""
    whole = (0, len(payload))
    if name != "vcpu":
        return [whole]
    cpuid = 4 + struct.unpack_from("<I", payload)[0] * CPUID_ENTRY.size
    return [(0, cpuid), (cpuid, cpuid + REGISTERS_BYTES), (len(payload) - 2000, len(payload)), whole]


def tamper(dice, good):
    """The state with one to four changes, and what they are."""
    sections = take_apart(good)
    said = []
    for _ in range(dice.randint(1, 4)):
        name = dice.choice(sorted({section[0] for section in sections}))
        idx = dice.choice([at for at, section in enumerate(sections) if section[0] == name])
        *head, payload = sections[idx]
        if not payload:
            continue
        first, end = dice.choice(places(name, payload))
        width = min(dice.choice((1, 2, 4, 8)), end - first)
        at = dice.randrange(first, end - width + 1)
        number = dice.choice((*NUMBERS, dice.getrandbits(64), 1 << dice.randrange(64)))
        change = number.to_bytes(8, "little")[:width]
        sections[idx] = (*head, payload[:at] + change + payload[at + width:])
        said.append(f"{name}[{at}:{at + width}] = {change.hex()}")
    return put_together(sections), ", ".join(said)


def load_and_end(folder, number, state):
    """One process: 400 and code 1, or a guest that is or was ended with a code."""
    path = os.path.join(folder, f"state{number}")
    pathlib.Path(path).write_bytes(state)
    with ApiVmm(folder, *NO_LOG, socket_name=f"api{number}") as vmm:
        status, answer = vmm.api.request("PUT", "/snapshot/load", {
            "snapshot_path": path, "resume_vm": True, "vsock_override": {"uds_path": os.path.join(folder, f"v{number}")},
            "mem_backend": {"backend_type": "File", "backend_path": names(folder)["mem_file_path"]}})
        if status == 400:
            expect(vmm.wait_end() == 1, f"refused with {answer}, but the process does not end with 1")
        else:
            expect(status == 204, f"the load: {status} {answer}")
            try:
                vmm.process.wait(RUNS_S)
            except subprocess.TimeoutExpired:
                vmm.process.terminate()
        code = vmm.wait_end()
        errors = vmm.errors()
        expect(code >= 0 and "Sanitizer" not in errors, f"it ended with {code}: {errors}")
        return status, code


@test(f"snapshot: {LOADS} states that were tampered with are refused, or give a guest that ends with a code")
def _():
    seed = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"SHOAL_TEST_SEED={seed}", flush=True)
    dice = random.Random(seed)
    with temporary_folder() as folder:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        with ApiVmm(folder, *NO_LOG, socket_name="source.socket") as vmm:
            vmm.api.put("/drives/d", drive_id="d", is_root_device=False, is_read_only=True, path_on_host=disk,
                        rate_limiter={"ops": {"size": 9, "refill_time": 100}})
            vmm.api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
            vmm.api.put("/entropy")
            vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1)
            boot_counter(vmm, folder, vcpus=2)
            vmm.wait_for(b"count 0 0.5\n")
            wait_until_halted(vmm)
            vmm.api.patch("/vm", state="Paused")
            vmm.api.put("/snapshot/create", **names(folder))
        good = pathlib.Path(names(folder)["snapshot_path"]).read_bytes()

        def check(number, state, said):
            try:
                return load_and_end(folder, number, state)
            except (Failure, OSError) as failure:
                raise Failure(f"SHOAL_TEST_SEED={seed}, load {number}, {said}: {failure}") from None

        states = [tamper(dice, good) for _ in range(LOADS)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(check, itertools.count(), *zip(*states)))
        refused = sum(status == 400 for status, _ in results)
        expect(0 < refused < LOADS, f"{refused} of {LOADS} were refused: nothing was tried of one kind")
