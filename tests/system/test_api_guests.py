"""The API with a guest that answers: the unikernel, and a disk that another process serves."""
import json
import os
import signal
import struct
import sys

from api import ApiVmm
from harness import BUSYBOX, PROGRAMS, ROOT, UNIKERNEL, VMM, expect, run, temporary_folder, test
from test_disks import READS
from tiny_kernel import IDLE, write_kernel
from vhost_user import need_storage_daemon, serve_disk

sys.path.append(str(ROOT / "scripts/nested"))

import cpio

# In double quotes on the kernel's command line.
SCRIPT = "echo ready; while read line; do echo got $line; [ $line = stop ] && exit 5; done"


def write_shell(folder, *others):
    """An initramfs with a shell, and other programs; the path."""
    archive = cpio.Archive()
    archive.folder("bin")
    for program in others:
        archive.copy(f"bin/{program.name}", program)
    archive.copy("bin/sh", BUSYBOX)
    path = os.path.join(folder, "initramfs")
    with open(path, "wb") as file:
        file.write(archive.bytes())
    return path


def boot_source(folder):
    return {"kernel_image_path": UNIKERNEL, "initrd_path": write_shell(folder),
            "boot_args": f'console=ttyS0 quiet panic=1 rdinit=/bin/sh -- -c "{SCRIPT}"'}


def talk(vmm, word):
    vmm.process.stdin.write(word.encode() + b"\n")
    vmm.process.stdin.flush()


@test("API: the unikernel talks on its serial console, is paused, and ends with its program's code")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        vmm.api.put("/boot-source", **boot_source(folder))
        vmm.start()
        vmm.wait_for(b"ready\n")
        talk(vmm, "one")
        vmm.wait_for(b"got one\n")
        vmm.api.patch("/vm", state="Paused")
        talk(vmm, "two")
        expect(not vmm.read_more(0.2), f"it answered while it was paused: {vmm.seen!r}")
        vmm.api.patch("/vm", state="Resumed")
        vmm.wait_for(b"got two\n")
        talk(vmm, "stop")
        expect(vmm.wait_end() == 5 and vmm.seen == b"got stop\n", f"the end: {vmm.seen!r}")


@test("configuration file: the unikernel talks on its serial console, with --no-api")
def _():
    default_socket = "/run/firecracker.socket"
    was_there = os.path.exists(default_socket)
    with temporary_folder() as folder:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"boot-source": boot_source(folder), "drives": []}, file)
        with ApiVmm(folder, "--no-api", "--config-file", path, "--log-path", "/dev/null") as vmm:
            vmm.wait_for(b"ready\n")
            talk(vmm, "stop")
            expect(vmm.wait_end() == 5 and vmm.seen == b"got stop\n", f"the end: {vmm.seen!r}")
            expect(os.path.exists(default_socket) == was_there, "a socket was made")


@test("API: a guest's threads wait for a disk that another process serves, whose interrupts wake them")
def _():
    need_storage_daemon()
    with temporary_folder() as folder:
        disk, socket_path, config = (os.path.join(folder, name) for name in ("served", "socket", "config"))
        with open(disk, "wb") as file:
            file.write(struct.pack("<524288Q", *range(0, 4 << 20, 8)))
        initramfs = write_shell(folder, PROGRAMS / "disk_threads")
        for vcpus in (1, 2):
            with open(config, "w", encoding="utf-8") as file:
                json.dump({"boot-source": {"kernel_image_path": UNIKERNEL, "initrd_path": initramfs,
                                           "boot_args": f"console=ttyS0 rdinit=/bin/disk_threads -- /dev/vda {READS}"},
                           "drives": [{"drive_id": "served", "is_root_device": False, "socket": socket_path}],
                           "machine-config": {"vcpu_count": vcpus, "mem_size_mib": 128}}, file)
            with serve_disk(disk, socket_path) as server:
                try:
                    result = run([VMM, "--no-api", "--config-file", config, "--log-path", "/dev/null"])
                finally:
                    server.kill()
            os.unlink(socket_path)
            expect((result.code, result.out) == (0, b"%d of %d reads are right\n" % (6 * READS, 6 * READS)), f"{vcpus} vCPUs: {result}")


@test("API: a disk that another process serves: its configuration is read again, and the server may die")
def _():
    need_storage_daemon()
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        api = vmm.api
        socket_path = os.path.join(folder, "disk.socket")
        disk = os.path.join(folder, "served")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        with serve_disk(disk, socket_path) as server:
            try:
                api.put("/drives/served", drive_id="served", is_root_device=False, socket=socket_path)
                api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
                vmm.start()
                drive = api.get("/vm/config")["drives"][0]
                expect(drive == {"drive_id": "served", "partuuid": None, "is_root_device": False,
                                 "cache_type": "Unsafe", "is_read_only": None, "path_on_host": None,
                                 "rate_limiter": None, "io_engine": None, "socket": socket_path}, str(drive))
                for wrong in ({"path_on_host": "/dev/null"}, {"rate_limiter": {}}):
                    api.expect_fault_with(["Running method expected different backend."], "PATCH", "/drives/served",
                                          {"drive_id": "served", **wrong})
                api.patch("/drives/served", drive_id="served")
                expect(b"shoal_vhost_user_block_" in api.request("GET", "/metrics")[1], "its metrics")
            finally:
                server.kill()
        api.fault("PATCH", "/drives/served", {"drive_id": "served"})
        expect(api.get("/")["state"] == "Running", "it runs on without the server")
        vmm.process.send_signal(signal.SIGTERM)
        expect(vmm.wait_end() == 143, "the end")
