"""An unmodified Linux drives every device, and both sides see the same."""
import hashlib
import os
import shutil
import subprocess
import time

import exec_calls
import vsock
from harness import Failure, expect, run, temporary_folder, test
from api_guest import BOOT_S, COMMAND_S, Guest, KERNEL, ROOT, initramfs
from netns import Network

MIB = 1 << 20
# The emulated CPU takes long for each.
CONTENT_MIB = 1  # of a disk that is read only
FILE_MIB = 8
TCP_MIB = 64
VSOCK_MIB = 2
TOUCHED_MIB = 100  # by a guest that gives them back
BALLOON_MIB = 150


def new_guest(folder, network=None, programs=()):
    with open(os.path.join(folder, "initramfs"), "wb") as file:
        file.write(initramfs(programs))
    return Guest(folder, network.command if network else lambda words: words)


def make_image(folder, name, size_mib, *options):
    """A sparse ext4 image."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(size_mib * MIB)
    result = run(["mkfs.ext4", "-q", "-F", *options, path])
    expect(result.code == 0, str(result))
    return path


def checked(path):
    result = run(["e2fsck", "-f", "-n", path])
    expect(result.code == 0, f"e2fsck: {result}")


def used_bytes(path):
    return os.stat(path).st_blocks * 512


def make_root(folder):
    """A root file system whose init writes a note and switches the machine off."""
    tree = os.path.join(folder, "tree")
    for name in ("bin", "dev", "proc", "sys"):
        os.makedirs(os.path.join(tree, name))
    shutil.copy("/bin/busybox", os.path.join(tree, "bin/busybox"))
    init = "#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\n/bin/busybox grep ' / ' /proc/mounts\n" \
           "echo written > /note\n/bin/busybox sync\n/bin/busybox poweroff -f\n"
    with open(os.path.join(tree, "init"), "w", encoding="utf-8") as file:
        file.write(init)
    os.chmod(os.path.join(tree, "init"), 0o755)
    return make_image(folder, "root.ext4", 32, "-d", tree)


@test("Linux: disks: checksums, fsync, discard, read-only, another image at run time; one as root, and power-off")
def _():
    with temporary_folder() as folder, new_guest(folder) as guest:
        data = make_image(folder, "data.ext4", 64)
        other = make_image(folder, "other.ext4", 32)
        root = make_root(folder)
        readonly = os.path.join(folder, "readonly")
        content = os.urandom(CONTENT_MIB * MIB)
        with open(readonly, "wb") as file:
            file.write(content)
        guest.api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=data, cache_type="Writeback")
        guest.api.put("/drives/ro", drive_id="ro", is_root_device=False, path_on_host=readonly, is_read_only=True,
                      io_engine="Sync")
        guest.api.put("/drives/root", drive_id="root", is_root_device=True, path_on_host=root, cache_type="Writeback")
        guest.boot(KERNEL / "vmlinux")
        guest.wait_ready()
        # The root device comes first.
        expect("root=/dev/vda rw" in guest.run("cat /proc/cmdline"), "the command line")
        expect(guest.run("cat /sys/block/vdb/size /sys/block/vdc/size /sys/block/vdc/ro").split()
               == [str(64 * 2048), str(CONTENT_MIB * 2048), "1"], "sizes")
        expect(hashlib.sha256(content).hexdigest() in guest.run("sha256sum < /dev/vdc"), "what was read")
        guest.run("dd if=/dev/zero of=/dev/vdc bs=512 count=1 2> /dev/null", code=1)

        guest.run("mount -t ext4 -o discard /dev/vdb /mnt")
        guest.run(f"dd if=/dev/urandom of=/mnt/file bs=64k count={FILE_MIB * 16} conv=fsync 2> /dev/null")
        written = guest.run("sha256sum < /mnt/file").split()[0]
        guest.run("umount /mnt")
        full = used_bytes(data)
        expect(full > FILE_MIB * MIB, f"{full} bytes are used")
        checked(data)
        inside = run(["debugfs", "-R", "cat /file", data])
        expect(hashlib.sha256(inside.out).hexdigest() == written, "what was written")

        guest.run("mount -t ext4 -o discard /dev/vdb /mnt; rm /mnt/file; sync; fstrim /mnt; umount /mnt")
        expect(used_bytes(data) < full - FILE_MIB * MIB * 3 // 4, f"{used_bytes(data)} of {full} bytes are still used")
        checked(data)

        guest.api.patch("/drives/data", drive_id="data", path_on_host=other)
        guest.run("for i in $(seq 100); do [ $(cat /sys/block/vdb/size) = 65536 ] && break; usleep 20000; done; "
                  "[ $(cat /sys/block/vdb/size) = 65536 ]")
        guest.run("mount -t ext4 /dev/vdb /mnt && umount /mnt")
        checked(other)

        # The kernel's virtio drivers are modules, so init in memory has loaded them.
        guest.send("mount -t ext4 /dev/vda /mnt && exec switch_root /mnt /init")
        guest.wait_for(b"/dev/vda / ext4 rw", BOOT_S)
        expect(guest.wait_end(BOOT_S) == 0, "exit code after power-off")
        checked(root)
        expect(run(["debugfs", "-R", "cat /note", root]).out == b"written\n", "the note")


@test("Linux: network: ping, TCP both ways with checksums and TSO, two interfaces, pause and resume; free pages are reported")
def _():
    with temporary_folder() as folder, Network(taps=2) as network, new_guest(folder, network) as guest:
        for tap in network.taps:
            guest.api.put(f"/network-interfaces/{tap.name}", iface_id=tap.name, host_dev_name=tap.name,
                          guest_mac=tap.guest_mac)
        guest.api.put("/balloon", amount_mib=0, deflate_on_oom=False, free_page_reporting=True)
        guest.boot(KERNEL / "vmlinux")
        guest.wait_ready()
        for number, tap in enumerate(network.taps):
            expect(tap.guest_mac in guest.run(f"cat /sys/class/net/eth{number}/address"), "the MAC address")
            guest.run(f"ip addr add {tap.guest_address}/24 dev eth{number}; ip link set eth{number} up")
            guest.run(f"ping -c 3 -W 20 {tap.host_address}")
            result = network.run(["busybox", "ping", "-c", "3", "-W", "20", tap.guest_address])
            expect(result.code == 0, str(result))
        tap = network.taps[0]
        data = os.urandom(TCP_MIB * MIB)
        tcp_to_guest(guest, network, tap, data)
        expect(tcp_from_guest(guest, network, tap) == data, "what arrived on the host")
        rss = guest_rss(guest)
        guest.run("rm /tmp/data")
        wait_for_rss(guest, rss - TCP_MIB * MIB // 2)  # Linux reports what is free, in pieces of 2 MiB
        packets = int(guest.run("cat /sys/class/net/eth0/statistics/tx_packets"))
        expect(packets * 1400 < 3 * len(data), f"{packets} packets: segmentation was not offloaded")

        pinger = network.popen(["busybox", "ping", "-c", "20", "-i", "0.2", "-W", "20", tap.guest_address],
                               stdout=subprocess.PIPE)
        time.sleep(1)  # some pings before the pause; how many does not matter
        guest.api.patch("/vm", state="Paused")
        time.sleep(2)  # the length of the pause, as the test is to have it
        guest.api.patch("/vm", state="Resumed")
        output = pinger.communicate(timeout=120)[0].decode()
        expect(pinger.returncode == 0 and " 0% packet loss" in output, output)


def tcp_to_guest(guest, network, tap, data):
    """The data are then in /tmp/data."""
    guest.send("nc -l -p 5001 < /dev/null > /tmp/data; md5sum < /tmp/data")
    connection = connect_until(network, (tap.guest_address, 5001))
    connection.sendall(data)
    connection.close()
    digest = hashlib.md5(data).hexdigest()
    expect(digest in guest.wait_for(b"@END@ 0", 240).decode(), "what arrived in the guest")
    guest.wait_for(b"\n")


def tcp_from_guest(guest, network, tap):
    """What the guest has in /tmp/data."""
    with network.socket() as listener:
        listener.bind((tap.host_address, 5002))
        listener.listen()
        listener.settimeout(COMMAND_S)
        guest.send(f"nc {tap.host_address} 5002 < /tmp/data")
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(COMMAND_S)
            received = vsock.read_all(connection)
    guest.wait_for(b"@END@ 0")
    guest.wait_for(b"\n")
    return received


def connect_until(network, address):
    deadline = time.monotonic() + 60
    while True:
        connection = network.socket()
        try:
            connection.connect(address)
            return connection
        except ConnectionRefusedError:
            connection.close()
            if time.monotonic() > deadline:
                raise Failure(f"nobody listens at {address}") from None


def expect_agent(guest, path):
    """The agent of exec runs commands for the host, and ends as its program does."""
    for script, code in {"exit 7": 7, "kill -15 $$": 143}.items():
        guest.run(f"shoal-exec-agent sh sh -c '{script}'", code=code)
    guest.run("shoal-exec-agent sleep sleep 1000 & sleep 1")
    expect(exec_calls.execute(path, "sh", "-c", "echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n"), "apart")
    expect(exec_calls.execute(path, "sh", "-c", "kill -9 $$")[0] == 137, "a signal")
    expect(exec_calls.execute(path, "nothing")[0] == 127, "no such program")
    data = os.urandom(MIB)
    expect(exec_calls.execute(path, "cat", stdin=data) == (0, data, b""), "what went in")
    with exec_calls.start(path, "sh", "-c", "sleep 2000 & echo started; wait") as connection:
        while exec_calls.read_frame(connection) != (exec_calls.OUTPUT, b"started\n"):
            pass
        expect("sleep 2000" in guest.run("ps"), "it runs")
    guest.run("while pgrep -f 'sleep 2000'; do usleep 10000; done")


@test("Linux: vsock both ways, many connections, the agent of exec, entropy, balloon with statistics, free page hinting")
def _():
    with temporary_folder() as folder, new_guest(folder, programs=["vsock", ROOT / "build/shoal-exec-agent"]) as guest:
        path = os.path.join(folder, "vsock.socket")
        guest.api.put("/vsock", guest_cid=52, uds_path=path)
        guest.api.put("/entropy")
        guest.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1, free_page_hinting=True)
        guest.boot(KERNEL / "vmlinux", memory_mib=320)
        guest.wait_ready()

        guest.run("vsock listen 1000 & sleep 1")
        data = os.urandom(VSOCK_MIB * MIB)
        expect(vsock.exchange(vsock.connect(path, 1000), data) == data, "the echo")
        connections = [vsock.connect(path, 1000) for _ in range(50)]
        for number, connection in enumerate(connections):
            expect(vsock.exchange(connection, b"%d" % number) == b"%d" % number, f"echo {number}")
        with vsock.Listener(path, 2000, lambda connection: connection.sendall(vsock.read_all(connection))):
            echo = guest.run(f"dd if=/dev/zero bs=1M count={VSOCK_MIB} 2> /dev/null | vsock connect 2000 | sha256sum")
            expect(hashlib.sha256(bytes(VSOCK_MIB * MIB)).hexdigest() in echo, "what the guest sent, and got back")
        guest.run("vsock connect 2001 < /dev/null", code=1)  # nobody listens
        expect_agent(guest, path)

        expect("virtio" in guest.run("cat /sys/class/misc/hw_random/rng_current"), "the generator")
        first = guest.run("dd if=/dev/hwrng bs=64 count=4 2> /dev/null | sha256sum")
        expect(guest.run("dd if=/dev/hwrng bs=64 count=4 2> /dev/null | sha256sum") != first, "random numbers")

        hinting(guest)
        balloon(guest)


def guest_free_mib(guest):
    return int(guest.run("grep MemAvailable /proc/meminfo").split()[1]) // 1024


def guest_rss(guest):
    """Of the guest's memory, in bytes."""
    total = 0
    counted = False
    with open(f"/proc/{guest.process.pid}/smaps", encoding="utf-8") as maps:
        for line in maps:
            if "-" in line.split()[0]:
                counted = "memfd:shoal-guest-ram" in line
            elif counted and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


def wait_for_balloon(guest, mib):
    deadline = time.monotonic() + 120
    while guest.api.get("/balloon/statistics")["actual_mib"] != mib:
        if time.monotonic() > deadline:
            raise Failure(f"the balloon never held {mib} MiB: {guest.api.get('/balloon/statistics')}")
        guest.run("usleep 100000")


def wait_for_rss(guest, most_bytes):
    deadline = time.monotonic() + 120
    while (rss := guest_rss(guest)) > most_bytes:
        if time.monotonic() > deadline:
            raise Failure(f"{rss} bytes are resident, and not {most_bytes} at most")
        guest.run("usleep 100000")


def touch(guest):
    """Memory that is free again."""
    guest.run(f"dd if=/dev/zero of=/tmp/touched bs=1M count={TOUCHED_MIB} 2> /dev/null; rm /tmp/touched")


def hinting(guest):
    touch(guest)
    rss = guest_rss(guest)
    guest.api.patch("/balloon/hinting/start", acknowledge_on_stop=True)
    wait_for_rss(guest, rss - TOUCHED_MIB * MIB // 2)
    expect(guest.api.get("/balloon/hinting/status")["guest_cmd"] is not None, "the guest's word")


def balloon(guest):
    touch(guest)
    before, rss = guest_free_mib(guest), guest_rss(guest)
    guest.api.patch("/balloon", amount_mib=BALLOON_MIB)
    wait_for_balloon(guest, BALLOON_MIB)
    expect(guest_free_mib(guest) < before - BALLOON_MIB * 4 // 5, "the guest's free memory")
    expect(guest_rss(guest) < rss - TOUCHED_MIB * MIB // 2, f"{guest_rss(guest)} of {rss} bytes are still resident")
    statistics = guest.api.get("/balloon/statistics")
    expect(statistics["target_mib"] == BALLOON_MIB and statistics["total_memory"] > 200 * MIB, str(statistics))
    guest.api.patch("/balloon", amount_mib=0)
    wait_for_balloon(guest, 0)
    expect(guest_free_mib(guest) > before - 20, "the guest's free memory, after")


@test("Linux: Ctrl-Alt-Del reaches init, and a panic ends the microVM")
def _():
    with temporary_folder() as folder, new_guest(folder) as guest:
        guest.boot(KERNEL / "vmlinux")
        guest.wait_ready()
        guest.run("trap 'echo PRESSED' INT; echo 0 > /proc/sys/kernel/ctrl-alt-del; mknod /dev/null c 1 3; true")
        guest.api.put("/actions", action_type="SendCtrlAltDel")
        guest.send("true")
        guest.wait_for(b"PRESSED")
        guest.send("echo c > /proc/sysrq-trigger")
        expect(guest.wait_end() == 0, "after panic=1 Linux resets the machine, as after a reboot")
