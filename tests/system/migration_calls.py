"""The calls that move a microVM, and what both processes say together."""
import os
import re
import time

from harness import TIME_SCALE, Failure, expect

OVER = ("Resumed", "HandedOver", "InDoubt")


def listen(vmm, path, **more):
    """Has the process wait for a guest."""
    vmm.api.put("/migration/receive", listen=f"unix:{path}", **more)


def send(vmm, path, **more):
    vmm.api.put("/migration/send", destination=f"unix:{path}", **more)


def wait_for_phase(vmm, *phases):
    """The status, once it is in one of the phases."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while (status := vmm.api.get("/migration"))["phase"] not in phases:
        expect(time.monotonic() < deadline, f"{phases} is never reached: {status}")
        time.sleep(0.001)
    return status


def move(source, destination, folder, name="wire", **more):
    """Moves the guest; the source's last status. The source stays, and says no more."""
    path = os.path.join(folder, name)
    listen(destination, path)
    send(source, path, after_hand_over="Stay", **more)
    status = wait_for_phase(source, *OVER)
    expect(status["phase"] == "HandedOver", f"the migration: {status}")
    return status


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
