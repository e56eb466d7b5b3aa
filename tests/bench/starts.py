"""How long the unikernel takes to start, next to the least that KVM takes and to QEMU."""
import subprocess

from figures import BENCH, ROOT, Target
from processes import QEMU, RUNS, SHOAL, UNIKERNEL, VMM, save_initramfs, spawn, stop

TITLE = "Start of a program in the unikernel"
CONDITIONS = "local /dev/kvm, 1 CPU, 128 MiB; the same kernel and initramfs in QEMU microvm"

FLOOR = str(BENCH / "programs/floor")
HELLO = str(ROOT / "build/tests/programs/hello")  # static, musl
LARGE_HELLO = str(BENCH / "programs/hello")  # static, glibc: 760 KB


def times_of(line):
    """The numbers of --timing's line: process start, VM created, first guest instruction, program's
    first instruction, exit."""
    times = [int(word) for word in line.replace(",", " ").split() if word.isdigit()]
    if len(times) != 5:
        stop(f"--timing printed {line!r} instead of five times")
    return times


def commands(initramfs):
    cmdline = f"quiet rdinit={HELLO}"
    vmm = [VMM, "--kernel", UNIKERNEL, "--initrd", initramfs, "--memory", "128", "--console", "virtio",
           "--timing", "--cmdline", "console=hvc0 " + cmdline]
    qemu = [QEMU, "-M", "microvm,rtc=on", "-accel", "kvm", "-cpu", "host,-arch-capabilities", "-m", "128",
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
            "-device", "isa-debug-exit,iobase=0x501,iosize=4", "-kernel", UNIKERNEL, "-initrd", initramfs,
            "-append", "console=ttyS0 " + cmdline]
    return vmm, qemu


def measure(samples):
    vmm, qemu = commands(save_initramfs(HELLO))
    for _ in range(RUNS):
        floor = subprocess.run([FLOOR], stdout=subprocess.PIPE, check=True)
        samples.add("floor", float(floor.stdout))
        samples.add("floor, whole process", spawn([FLOOR])[0])
        took, errors = spawn(vmm)
        samples.add("shoal-vmm, whole process", took)
        times = times_of(errors)
        samples.add("shoal-vmm to program", times[3] - times[0])
        samples.add("shoal run", spawn([SHOAL, "run", HELLO])[0])
        samples.add("shoal run, glibc hello", spawn([SHOAL, "run", LARGE_HELLO])[0])
        samples.add("hello on the host", spawn([HELLO])[0])
        # isa-debug-exit makes 2 * code + 1 of the code.
        samples.add("qemu microvm", spawn(qemu, codes=(1,))[0])


def targets(samples):
    floor, run = samples.median("floor"), samples.median("shoal run")
    runs = samples.runs("floor")
    return [
        Target("shoal-vmm start to program's first instruction, in floors",
               samples.median("shoal-vmm to program") / floor, "<=", 3, runs),
        Target("shoal run of hello, start to end, in floors", run / floor, "<=", 6, runs),
        Target("QEMU microvm's wall time, in shoal runs", samples.median("qemu microvm") / run, ">=", 10, runs),
    ]
