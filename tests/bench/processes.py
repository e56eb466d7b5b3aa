"""Processes under measurement: their wall time, their CPU time, their memory."""
import os
import pathlib
import subprocess
import sys
import time

from figures import BENCH, ROOT

SPAWN = str(BENCH / "programs/spawn")
CALL = str(BENCH / "programs/call")
SHOAL = str(ROOT / "build/shoal")
VMM = str(ROOT / "build/shoal-vmm")
UNIKERNEL = str(ROOT / "build/guest/shoal.elf")
QEMU = "/usr/bin/qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
RUNS = max(int(os.environ.get("RUNS", "30")), 1)
SHOAL_RAM = "memfd:shoal-guest-ram"
LEAST_RAM_BYTES = 32 << 20


def stop(sentence):
    sys.exit(f"bench: {sentence}")


def say(sentence):
    """Progress, beside the table."""
    print(f"bench: {sentence}", file=sys.stderr, flush=True)


def spawn(words, codes=(0,)):
    """Microseconds from posix_spawn to the process's end, and what it wrote to stderr."""
    done = subprocess.run([SPAWN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    took, code = done.stdout.split() if done.returncode == 0 else (0, -1)
    if int(code) not in codes:
        stop(f"{' '.join(words)} ended with {code}: {done.stderr.strip()}")
    return float(took), done.stderr


def save_initramfs(program, *words):
    """What `shoal run` would give the unikernel for this program and its arguments."""
    path = BENCH / "initramfs"
    env = {**os.environ, "SHOAL_VMM": str(ROOT / "tests/system/save-initramfs"), "INITRAMFS": str(path)}
    subprocess.run([SHOAL, "run", program, *words], env=env, check=True)
    return str(path)


def cpu_us(pid):
    """User and system time of a process and all its threads, from its birth."""
    return time.clock_gettime(~pid << 3 | 2) * 1e6  # clock_getcpuclockid(3)


def is_shoal_ram(line):
    """With huge pages it has no name; nothing else of a VMM is as large."""
    first, end = (int(number, 16) for number in line.split()[0].split("-"))
    return SHOAL_RAM in line or end - first >= LEAST_RAM_BYTES


def is_shoal_ram_or_program(line):
    """The program's file is in memory once, for all microVMs."""
    return is_shoal_ram(line) or line.endswith(VMM)


def private_kib(pid, is_left_out):
    """Private memory of a VMM process without the mappings that is_left_out(first line in smaps) picks."""
    total, counted = 0, True
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split()[0]:
            counted = not is_left_out(line)
        elif counted and line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1])
    return total


def call(socket_path, count, *words, pause_us=0):
    """Microseconds of each of `count` requests: METHOD PATH [BODY]."""
    done = subprocess.run([CALL, str(socket_path), str(count), str(pause_us), *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        stop(f"{' '.join(words)}: {done.stderr.strip()}")
    return [float(line) for line in done.stdout.split()]
