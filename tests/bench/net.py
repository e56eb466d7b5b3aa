"""TCP of a Linux guest with the host, Shoal and QEMU in turns."""
from contenders import PORT
from figures import Target
from processes import RUNS, say

TITLE = "Network of a Linux guest"
CONDITIONS = ("nested hardware KVM, 1 CPU, transparent huge pages, one TCP connection with the host over a TAP with offloads, MTU 1500; QEMU: "
              "virtio-net-device, virtio-mmio 1.0, vhost=off; both serve it on their main loop")

ROUNDS = min(RUNS, 6)
SECONDS = 2
# name, verb, unit, value of (count, microseconds)
LOADS = (("TCP from the guest", "send", "MB/s", lambda count, us: count / us),
         ("TCP to the guest", "receive", "MB/s", lambda count, us: count / us),
         ("one byte and back", "echo", "us", lambda count, us: us / count))
VMMS = ("shoal", "qemu")


def measure(samples, contenders):
    guests = contenders.boot()
    for turn in range(ROUNDS):
        say(f"net: turn {turn + 1} of {ROUNDS}, {len(LOADS) * len(VMMS) * SECONDS} s each")
        for name, verb, unit, value in LOADS:
            for vmm, tap in zip(VMMS, contenders.network.taps):
                line = guests[vmm].run(f"net {verb} {tap.host_address} {PORT} {SECONDS}")
                samples.add(f"{name}, {vmm}", value(*map(int, line.split())), unit)


def targets(samples):
    rows = []
    for name, _, unit, _ in LOADS:
        shoal, qemu = (samples.median(f"{name}, {vmm}") for vmm in VMMS)
        ratio = qemu / shoal if unit == "us" else shoal / qemu
        rows.append(Target(f"{name}, speed, Shoal to QEMU", ratio, ">=", 1,
                           samples.runs(*(f"{name}, {vmm}" for vmm in VMMS))))
    return rows
