"""How long Linux takes from the start of the VMM's process to its init."""
import json
import os
import select
import subprocess
import time

from contenders import MEMORY_MIB, MICROVM, WORDS, cpio
from figures import BENCH, Target
from processes import RUNS, VMM, say, stop

TITLE = "Boot of Linux, from the VMM's process start to init's first line on the serial console"
CONDITIONS = ("nested hardware KVM, Debian's cloud kernel, 1 CPU, 256 MiB, no other device, kernel and initramfs in "
              "memory; QEMU: -M microvm,acpi=on,rtc=on -cpu host, which always asks for transparent huge pages")

# A turn is one boot in each VMM. A bzImage unpacks itself, which takes most of its boot.
TURNS = (("vmlinux", 170, min(RUNS, 30)), ("vmlinuz", 60, min(RUNS, 30)))  # kernel, seconds, most turns
DEADLINE_S = 120
SHOALS = {"shoal": "None", "shoal, huge pages": "Transparent"}


def name_of(vmm, kernel):
    return f"{vmm}, {kernel}"


def make_initramfs(path):
    archive = cpio.Archive()
    archive.folder("dev")
    archive.character_device("dev/console", 5, 1)
    archive.copy("init", BENCH / "guest/init")
    path.write_bytes(archive.bytes())


def commands(folder, kernel):
    initramfs = folder / "init.cpio"
    make_initramfs(initramfs)
    words = {}
    for name, huge_pages in SHOALS.items():
        config = folder / f"{huge_pages}.json"
        config.write_text(json.dumps({
            "boot-source": {"kernel_image_path": kernel, "initrd_path": str(initramfs), "boot_args": WORDS},
            "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": MEMORY_MIB, "huge_pages": huge_pages}}),
            encoding="utf-8")
        words[name] = [VMM, "--no-api", "--config-file", str(config)]
    return {**words, "qemu": [*MICROVM, "-kernel", kernel, "-initrd", str(initramfs), "-append", WORDS]}


def time_to_init(words):
    started = time.monotonic()
    seen = b""
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        try:
            while b"INIT" not in seen:
                left = started + DEADLINE_S - time.monotonic()
                data = b""
                if left > 0 and select.select([process.stdout], [], [], left)[0]:
                    data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    stop(f"{words[0]}: no init after {time.monotonic() - started:.0f} s: {seen[-200:]!r}")
                seen += data
            return time.monotonic() - started
        finally:
            process.kill()


def measure(samples, contenders):
    for kernel, seconds, most in TURNS:
        words = commands(contenders.folder, contenders.kernel(kernel))
        begin = time.monotonic()
        turns = 0
        while turns == 0 or (turns < most and time.monotonic() - begin < seconds):
            turns += 1
            for vmm, command in words.items():
                samples.add(name_of(vmm, kernel), time_to_init(command) * 1000, "ms")
            say(f"linux: {kernel}, turn {turns} of at most {most}, {time.monotonic() - begin:.0f} of {seconds} s")


def targets(samples):
    rows = []
    for kernel, _, _ in TURNS:
        qemu = name_of("qemu", kernel)
        for vmm in SHOALS:
            shoal = name_of(vmm, kernel)
            rows.append(Target(f"{name_of(vmm, kernel)}: boot, in QEMU microvm boots",
                               samples.median(shoal) / samples.median(qemu), "<=", 0.8, samples.runs(shoal, qemu)))
    return rows
