"""Linux under shoald: its kernel, initramfs and root are images, and all else is as for other microVMs."""
import pathlib
import shutil

import vsock
from api_guest import KERNEL, MODULES, PROGRAMS, _module_file
from cpio import Archive
from daemon import FINAL, Daemon
from harness import BUSYBOX, ENVIRONMENT, SHOAL, expect, run, temporary_folder, test
from test_shoald_networks import expect_nothing_left, host, make_networks

CMDLINE = "console=ttyS0 reboot=t panic=-1 quiet mitigations=off"
READY_S = 100

# Its first disk is the image, its second one the volume. With a word behind "--" it ends at once, which Linux calls a panic.
INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
[ -n "$1" ] && exit 3
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
mount -t sysfs sysfs /sys
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
echo "cmdline $(cat /proc/cmdline)"
echo "read-only $(cat /sys/block/vda/ro) $(cat /sys/block/vdb/ro)"
mount -t erofs -o ro /dev/vda /mnt && cat /mnt/greeting
echo "from linux" | dd of=/dev/vdb conv=sync bs=512 2> /dev/null; sync
stty -echo
echo "ready"
read -r line
echo "<$line>"
poweroff -f
"""


# Takes the address of its command line, as a kernel with CONFIG_IP_PNP does by itself; then it serves on the network and by vsock.
SERVE = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
ip=$(tr " " "\\n" < /proc/cmdline | grep ^ip=)
IFS=:
set -- ${ip#ip=}
ifconfig eth0 "$1" netmask "$4" up
route add default gw "$3"
vsock listen 1000 &
echo "ready at $1"
while :; do echo "linux at $1" | nc -l -p 7; done
"""


def make_initramfs(path, init=INIT, programs=()):
    archive = Archive()
    archive.folder("bin", "dev", "proc", "sys", "mnt", "modules")
    archive.character_device("dev/console", 5, 1)
    archive.copy("bin/busybox", BUSYBOX)
    archive.file("init", init)
    for name in programs:
        archive.copy(f"bin/{name}", PROGRAMS / name)
    found = {name: _module_file(name) for name in (*MODULES, "libcrc32c", "erofs")}
    for name, file in found.items():
        if file is not None:  # some are part of the kernel
            archive.copy(f"modules/{name}.ko", file)
    archive.file("modules/order", "\n".join(name for name, file in found.items() if file).encode(), 0o644)
    path.write_bytes(archive.bytes())


def make_root(folder):
    (folder / "root").mkdir()
    (folder / "root/greeting").write_text("from the image\n")
    made = run(["mkfs.erofs", "--quiet", folder / "root.erofs", folder / "root"])
    expect(made.code == 0, str(made))


@test("Linux under shoald: its kernel, initramfs and root are imported; it has a volume and a console, and ends well or badly")
def _():
    with temporary_folder() as name, Daemon(name) as daemon:
        folder = pathlib.Path(name)
        make_initramfs(folder / "initrd.img")
        make_root(folder)
        shutil.copy(KERNEL / "vmlinuz", folder)

        def shoal(*words, code=0, **more):
            result = run([SHOAL, *words], env={**ENVIRONMENT, "SHOAL_SOCKET": str(daemon.socket)}, cwd=folder, **more)
            expect(result.code == code, f"{words}: {result}")
            return result.out.decode()

        expect(shoal("image", "import", "--kernel", "vmlinuz", "--cmdline", CMDLINE).startswith("image vmlinuz imported"), "it")
        shoal("image", "import", "--initramfs", "initrd.img", "--name", "initramfs")
        shoal("image", "import", "erofs:root.erofs", "--name", "root")
        daemon.done("POST", "/v1/volumes", {"name": "v", "size_mib": 1})
        linux = {"kernel": "vmlinuz", "initramfs": "initramfs", "memory_mib": 256}
        daemon.done("POST", "/v1/microvms", {"name": "m", "image": "root", "volumes": ["v"], **linux})
        daemon.wait(lambda: b"ready" in daemon.log("m") or daemon.microvm("m")["status"]["phase"] in FINAL, "it", READY_S)
        for image in ("vmlinuz", "initramfs", "root"):
            expect("in use by microVM m" in daemon.refused(409, "DELETE", f"/v1/images/{image}"), image)
        said = shoal("console", "m", stdin=b"typed\n")
        expect("<typed>" in said, said)
        log = daemon.log("m").decode().replace("\r", "")
        expect(f"rootfstype=erofs ro {CMDLINE}" in log and "read-only 1 0\nfrom the image\n" in log, log)
        ended = daemon.wait_phase("m", *FINAL)["status"]
        expect((ended["phase"], ended["exit_code"]) == ("succeeded", 0), f"switched off: {ended}")
        file, = (daemon.state_dir / "volumes").iterdir()
        expect(file.read_bytes().startswith(b"from linux\n"), "what is on the volume")

        daemon.done("POST", "/v1/microvms", {"name": "p", "cmdline": f"{CMDLINE} -- panic", **linux})
        ended = daemon.wait_phase("p", *FINAL)["status"]
        expect((ended["phase"], ended["exit_code"]) == ("failed", 161), f"a panic: {ended}")
        expect(b"Attempted to kill init" in daemon.log("p"), f"{daemon.log('p')}")

        for microvm in ("m", "p"):
            daemon.done("DELETE", f"/v1/microvms/{microvm}")
            daemon.wait_gone(microvm)
        daemon.done("DELETE", "/v1/volumes/v")
        shoal("delete", "image", "vmlinuz", "initramfs", "root")
        left = [*(daemon.state_dir / "images").iterdir(), *(daemon.state_dir / "volumes").iterdir(), *daemon.run_folders()]
        expect(left == [], f"left behind: {left}")


@test("Linux under shoald: it is in a network, answers by vsock, and is ended by its time limit")
def _():
    with host() as (namespace, daemon), temporary_folder() as name:
        folder = pathlib.Path(name)
        make_initramfs(folder / "initrd.img", SERVE, ["vsock"])
        make_networks(daemon)
        for image in (f"kernel:{KERNEL / 'vmlinuz'}", f"initramfs:{folder / 'initrd.img'}"):
            kind = image.partition(":")[0]
            daemon.done("POST", "/v1/images", {"name": kind, "from": image, **({"cmdline": CMDLINE} if kind == "kernel" else {})})
        linux = {"kernel": "kernel", "initramfs": "initramfs", "memory_mib": 256, "network": "n1"}
        daemon.done("POST", "/v1/microvms", {"name": "m", "vsock": True, **linux})
        daemon.wait(lambda: b"ready at 10.77.1.2" in daemon.log("m") or daemon.microvm("m")["status"]["phase"] in FINAL, "it", READY_S)
        status = daemon.microvm("m")["status"]
        expect((status["phase"], status["address"]) == ("running", "10.77.1.2"), f"{status} {daemon.log('m')}")
        daemon.wait(lambda: namespace.run(BUSYBOX, "nc", "-w", "5", "10.77.1.2", "7").out == b"linux at 10.77.1.2\n", "its answer")
        with vsock.connect(status["vsock"], 1000) as connection:
            expect(vsock.exchange(connection, b"to linux") == b"to linux", "its echo by vsock")
        daemon.done("POST", "/v1/microvms", {"name": "limited", "time_limit_s": 2, **linux})
        ended = daemon.wait_phase("limited", *FINAL)["status"]
        expect((ended["phase"], ended["exit_code"]) == ("failed", 124) and "time limit of 2 s" in ended["reason"], f"{ended}")
        for microvm in ("m", "limited"):
            daemon.done("DELETE", f"/v1/microvms/{microvm}?grace_s=0")
            daemon.wait_gone(microvm)
        expect_nothing_left(namespace, daemon)
