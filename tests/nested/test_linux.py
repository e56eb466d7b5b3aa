"""An unmodified Linux boots by every protocol, finds its machine, and ends in every way."""
from harness import expect, test
from linux_guest import BY_64_BIT, BY_PVH, BZIMAGE, PVH, Boot, without_pvh


# Each protocol with 2 CPUs, and PVH with 1; test_linux_network.py boots a bzImage with 1, and 5 GiB on both sides of the hole,
# test_linux_devices.py by the 64-bit protocol with 1. A boot takes ten seconds here: each looks at all that it can.
@test("Linux from a bzImage uses 2 CPUs, and reboot=k ends with 160")
def _():
    boot = Boot(BZIMAGE, "reboot", "--vcpus", "2", words="extra=word")
    boot.expect_machine(cpus=2, memory=256, loader=BY_64_BIT)
    expect("extra=word" in boot.one("cmdline"), boot.one("cmdline"))
    boot.expect_end(160, "reset")


@test("Linux by PVH on 2 CPUs loses no byte of much output, and ACPI switches it off with 0")
def _():
    boot = Boot(PVH, "write", "--vcpus", "2")
    boot.expect_machine(cpus=2, memory=256, loader=BY_PVH)
    numbers = [line for line in boot.lines if line.isdigit()]
    expect(numbers == [str(number) for number in range(1, 3001)], f"{len(numbers)} lines came")
    boot.expect_end(0)


@test("Linux by the 64-bit protocol on 2 CPUs reaches init, and a panic ends it")
def _():
    boot = Boot(without_pvh(), "panic", "--vcpus", "2")
    boot.expect_machine(cpus=2, memory=256, loader=BY_64_BIT)
    expect(b"Attempted to kill init" in boot.result.out, str(boot.result))
    boot.expect_end(160, "reset")


@test("Linux in 128 MiB: its serial console works in both directions by interrupts")
def _():
    lines = [f"line {number} {'x' * (1 + number % 60)}" for number in range(50)]
    boot = Boot(PVH, "echo", memory=128, typed="".join(line + "\n" for line in [*lines, "stop"]).encode())
    boot.expect_machine(cpus=1, memory=128, loader=BY_PVH)  # 80 are enough
    expect([line[1:-1] for line in boot.lines if line.startswith("<")] == lines, "\n".join(boot.lines))
    interrupts = boot.one("serial-interrupts")
    expect("IO-APIC" in interrupts, interrupts)
    boot.expect_end(0)
