"""An unmodified Linux drives its other devices, and both sides see the same."""
import hashlib
import os
import time

import exec_calls
import vsock
from api_guest import KERNEL, MIB, ROOT, guest_rss, new_guest, wait_for_rss
from harness import Failure, expect, temporary_folder, test
from linux_guest import BY_64_BIT, without_pvh

# The emulated CPU takes long for each.
VSOCK_MIB = 2
TOUCHED_MIB = 100  # by a guest that gives them back
BALLOON_MIB = 150
NEEDED_MIB = 30  # by a program, out of the balloon


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

        expect(guest.metric("vsock_rx_bytes_count") >= 2 * VSOCK_MIB * MIB, "the metrics of what the guest got")
        expect(guest.metric("vsock_tx_bytes_count") >= 2 * VSOCK_MIB * MIB, "the metrics of what the guest sent")

        expect("virtio" in guest.run("cat /sys/class/misc/hw_random/rng_current"), "the generator")
        first = guest.run("dd if=/dev/hwrng bs=64 count=4 2> /dev/null | sha256sum")
        expect(guest.run("dd if=/dev/hwrng bs=64 count=4 2> /dev/null | sha256sum") != first, "random numbers")
        expect(guest.metric("entropy_entropy_bytes") >= 512, "the metrics of random numbers")

        hinting(guest)
        balloon(guest)


def guest_free_mib(guest):
    return int(guest.run("grep MemAvailable /proc/meminfo").split()[1]) // 1024


def wait_for_balloon(guest, mib):
    deadline = time.monotonic() + 120
    while guest.api.get("/balloon/statistics")["actual_mib"] != mib:
        if time.monotonic() > deadline:
            raise Failure(f"the balloon never held {mib} MiB: {guest.api.get('/balloon/statistics')}")
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
    expect(statistics["free_memory"] < before * MIB, f"{before} MiB were free before: {statistics}")
    deflate_on_oom(guest)
    guest.api.patch("/balloon", amount_mib=0)
    wait_for_balloon(guest, 0)
    for name in ("inflate", "deflate", "stats_updates"):
        expect(guest.metric(f"balloon_{name}_count") > 0, f"the metrics of {name}")
    expect(guest_free_mib(guest) > before - 20, "the guest's free memory, after")


def deflate_on_oom(guest):
    """Who needs what the balloon holds gets it: nobody is killed for it."""
    size_mib = guest_free_mib(guest) + NEEDED_MIB
    guest.run(f"dd if=/dev/zero of=/dev/null bs={size_mib}M count=1 2> /dev/null")
    actual_mib = guest.api.get("/balloon/statistics")["actual_mib"]
    print(f"        {size_mib} MiB for a program: {BALLOON_MIB - actual_mib} of them out of the balloon", flush=True)
    expect(0 < actual_mib < BALLOON_MIB, f"the balloon has {actual_mib} MiB")
    guest.run("dmesg | grep -i 'killed process'", code=1)


@test("Linux: Ctrl-Alt-Del reaches init, and a panic ends the microVM")
def _():
    with temporary_folder() as folder, new_guest(folder) as guest:
        guest.boot(without_pvh())
        guest.wait_ready()
        expect(guest.number("/proc/sys/kernel/bootloader_type") == BY_64_BIT, "the boot protocol")
        guest.run("trap 'echo PRESSED' INT; echo 0 > /proc/sys/kernel/ctrl-alt-del; mknod /dev/null c 1 3; true")
        guest.api.put("/actions", action_type="SendCtrlAltDel")
        guest.send("true")
        guest.wait_for(b"PRESSED")
        guest.send("echo c > /proc/sysrq-trigger")
        expect(guest.wait_end() == 0, "after panic=1 Linux resets the machine, as after a reboot")
