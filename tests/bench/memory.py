"""Private memory of shoal-vmm, guest excluded: as `shoal run` starts it, and with devices."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from figures import ROOT, Target
from processes import (BUSYBOX, RUNS, SHOAL, UNIKERNEL, VMM, is_shoal_ram, is_shoal_ram_or_program, private_kib,
                       save_initramfs, say)

sys.path.insert(0, str(ROOT / "tests/system"))
from netns import Network, why_no_network  # noqa: E402

TITLE = "Private memory of a VMM process"
CONDITIONS = "local, guest memory excluded, the unikernel as guest; while one microVM runs alone the kernel counts " \
    "the clean pages of the program's file (text, constants) as private, which all microVMs share; `busy` has Linux as guest"

SPIN = str(ROOT / "build/tests/programs/spin")
BARE = "shoal run beside another microVM"
ALONE = "shoal run alone on the host"
EQUIPPED = "disk, NIC, vsock, balloon, beside another microVM"
EQUIPPED_ALONE = "disk, NIC, vsock, balloon, alone on the host"
EQUIPPED_OWN = "disk, NIC, vsock, balloon, without the program's file"


@contextlib.contextmanager
def waiting_microvm():
    """The process of a microVM whose program waits for input."""
    with subprocess.Popen([SHOAL, "run", BUSYBOX, "sh", "-c", "echo; read line"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def measure_bare(samples):
    with waiting_microvm() as process:
        samples.add(ALONE, private_kib(process.pid, is_shoal_ram), "KiB")
        with waiting_microvm():
            samples.add(BARE, private_kib(process.pid, is_shoal_ram), "KiB")


def write_config(folder, tap, initramfs):
    image = folder / "disk"
    with open(image, "wb") as file:
        os.truncate(file.fileno(), 64 << 20)
    config = {
        "boot-source": {"kernel_image_path": UNIKERNEL, "initrd_path": initramfs,
                        "boot_args": f"console=ttyS0 quiet rdinit={SPIN}"},
        "machine-config": {"vcpu_count": 1, "mem_size_mib": 128},
        "drives": [{"drive_id": "disk", "is_root_device": False, "path_on_host": str(image), "io_engine": "Async"}],
        "network-interfaces": [{"iface_id": "net", "host_dev_name": tap.name, "guest_mac": tap.guest_mac}],
        "vsock": {"guest_cid": 3, "uds_path": str(folder / "vsock")},
        "balloon": {"amount_mib": 0, "deflate_on_oom": True, "stats_polling_interval_s": 1},
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@contextlib.contextmanager
def equipped_microvm(network, tap, initramfs):
    """The process of a microVM with all devices whose program runs."""
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as name:
        folder = pathlib.Path(name)
        config = write_config(folder, tap, initramfs)
        words = [VMM, "--api-sock", str(folder / "api.socket"), "--config-file", str(config)]
        with network.popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            try:
                while (line := process.stdout.readline()) and b"spinning" not in line:
                    pass
                yield process
            finally:
                process.kill()


def measure_equipped(samples, network, initramfs):
    with equipped_microvm(network, network.taps[0], initramfs) as process:
        samples.add(EQUIPPED_ALONE, private_kib(process.pid, is_shoal_ram), "KiB")
        samples.add(EQUIPPED_OWN, private_kib(process.pid, is_shoal_ram_or_program), "KiB")
        with equipped_microvm(network, network.taps[1], initramfs):
            samples.add(EQUIPPED, private_kib(process.pid, is_shoal_ram), "KiB")


def measure(samples):
    for _ in range(RUNS):
        measure_bare(samples)
    if reason := why_no_network():
        say(f"the memory with devices is not measured: {reason}")
        return
    initramfs = save_initramfs(SPIN)
    with Network(taps=2) as network:
        for _ in range(RUNS):
            measure_equipped(samples, network, initramfs)


def targets(samples):
    rows = [Target("private memory under shoal run, beside another microVM, in MiB", samples.median(BARE) / 1024, "<=", 2, samples.runs(BARE))]
    rows += [Target(f"private memory with {name}, in MiB", samples.median(name) / 1024, "<=", 3, samples.runs(name))
             for name in (EQUIPPED, EQUIPPED_ALONE) if name in samples.values]
    return rows
