"""The calls that move a microVM, and what both processes say together."""
import os
import re
import signal
import sys
import time

from harness import PROGRAMS, ROOT, TIME_SCALE, UNIKERNEL, Failure, expect

sys.path.append(str(ROOT / "scripts/nested"))

import cpio

NO_LOG = ("--log-path", "/dev/null")
OVER = ("Resumed", "HandedOver", "InDoubt")


PORT = 7


def start_generations(vmm, folder, *sizes, **more):
    """Boots the program that ticks and checks its memory, until its first tick."""
    boot_generations(vmm, folder, *sizes, **more)
    wait_for_ticks(vmm, 1)


def boot_generations(vmm, folder, mib=8, mb_per_s=0, memory_mib=64, disk="", tap=None, files=(), ip6="", threads=1, **machine):
    """With a TAP it sends numbers to who connects to PORT. The files are in the guest's memory, too. Several threads
    write on as many vCPUs."""
    archive = cpio.Archive()
    archive.copy("init", PROGRAMS / "generations")
    for number, file in enumerate(files):
        archive.copy(f"file{number}", file)
    initramfs = os.path.join(folder, "initramfs")
    with open(initramfs, "wb") as file:
        file.write(archive.bytes())
    vmm.api.put("/machine-config", **{"vcpu_count": threads, "mem_size_mib": memory_mib, **machine})
    address = port = ""
    if tap is not None:
        vmm.api.put("/network-interfaces/n", iface_id="n", host_dev_name=tap.name, guest_mac=tap.guest_mac)
        address, port = f"ip={tap.guest_address}::{tap.host_address}:255.255.255.0:::off {ip6}", f":{PORT}"
    vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=initramfs,
                boot_args=f"console=ttyS0 quiet panic=1 {address} rdinit=/init -- {mib} {mb_per_s} {disk} {port} x{threads}")
    vmm.start()


def wait_for_ticks(vmm, number):
    """Until so many have come; nothing of what was seen is taken."""
    while vmm.seen.count(b"tick") < number:
        if not vmm.read_more(30):
            raise Failure(f"the ticks stop: {vmm.seen[-200:]!r}; {vmm.why_over()}")


def wait_until_checked(vmm):
    """Until the program has checked each of its pages since this was called; nothing of what was seen is taken."""
    answers = vmm.seen.count(b"checked")
    vmm.process.stdin.write(b"c")
    vmm.process.stdin.flush()
    while vmm.seen.count(b"checked") == answers:
        wait_for_ticks(vmm, vmm.seen.count(b"tick") + 1)


def on_tap(tap):
    """What a process is told whose guest comes to this TAP."""
    return {"network_overrides": [{"iface_id": "n", "host_dev_name": tap.name}]}


def listen(vmm, path, **more):
    """Has the process wait for a guest."""
    vmm.api.put("/migration/receive", listen=f"unix:{path}", **more)


def send(vmm, path, **more):
    vmm.api.put("/migration/send", destination=f"unix:{path}", **more)


def send_and_break(vmm, path, **more):
    """As send(), for a VMM that may be killed before it has answered."""
    try:
        send(vmm, path, **more)
    except ConnectionError:
        expect(vmm.process.wait(30 * TIME_SCALE) == -signal.SIGKILL, "it ended by itself")


def wait_for_phase(vmm, *phases):
    """The status, once it is in one of the phases."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while (status := vmm.api.get("/migration"))["phase"] not in phases:
        expect(time.monotonic() < deadline, f"{phases} is never reached: {status}")
        time.sleep(0.001 * TIME_SCALE)
    return status


def move(source, destination, folder, name="wire", place=None, **more):
    """Moves the guest; the source's last status. The source stays, and says no more. `place` is what the destination
    is told, `more` what the source is told."""
    path = os.path.join(folder, name)
    listen(destination, path, **(place or {}))
    send(source, path, after_hand_over="Stay", **more)
    status = wait_for_phase(source, *OVER)
    expect(status["phase"] == "HandedOver", f"the migration: {status}")
    return status


def kill(vmms):
    for vmm in vmms:
        vmm.process.kill()
        vmm.process.wait()


def read_all(vmm):
    """Everything that a process that has ended or is killed says on stdout."""
    while vmm.read_more(30 * TIME_SCALE):
        pass
    return vmm.seen


def expect_one_sequence(text):
    """The ticks in what all processes said, in the order in which they had the guest: each once, none left
    out. The last line may be cut off. Their count."""
    if b"broken" in text:
        raise Failure(f"the guest's memory is broken: {text[-200:]!r}")
    numbers = [int(number) for number in re.findall(rb"^tick (\d+)\r?$", text[:text.rfind(b"\n") + 1], re.M)]
    for idx, number in enumerate(numbers):
        expect(idx == number, f"tick {number} comes after tick {numbers[idx - 1]}: "
               f"{text[max(text.find(b'tick %d' % number) - 60, 0):][:160]!r}")
    return len(numbers)
