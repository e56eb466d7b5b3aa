"""Snapshots of a guest that speaks with others: its TCP connection goes on on the same TAP, its vsock connections are reset."""
import contextlib
import itertools
import os
import queue

import vsock
from api import ApiVmm
from harness import TIME_SCALE, expect, temporary_folder, test
from migration_calls import (NO_LOG, expect_one_sequence, kill, move, read_all, start_generations, wait_for_ticks,
                             wait_until_checked)
from netns import Network, why_no_network
from snapshot_calls import load, names
from stream_calls import Peer
from test_snapshots import boot_counter

CYCLES = 10
NUMBERS = 20  # of the stream, in each cycle
DISK_BYTES = 4 << 20
PORT, HOST_PORT = 5000, 52


def make_disk(folder):
    path = os.path.join(folder, "disk")
    with open(path, "wb") as file:
        file.truncate(DISK_BYTES)
    return path


def saved_and_loaded(vmm, folder, number, command, **how):
    """The process in which the guest goes on, and what it said before."""
    vmm.api.patch("/vm", state="Paused")
    vmm.api.put("/snapshot/create", **names(folder), **how)
    kill([vmm])
    said = read_all(vmm)
    vmm.close()
    other = ApiVmm(folder, *NO_LOG, command=command, socket_name=f"process{number}")
    try:
        load(other, folder, resume_vm=True)
    except BaseException:
        other.close()
        raise
    return other, said


for mb_per_s, how in itertools.product((0, 50), ({}, {"compression": "Zstd"})):
    @test(f"snapshot: a TCP connection and a disk go on through {CYCLES} loads {how}, {mb_per_s} MB/s, no byte lost or doubled")
    def _(mb_per_s=mb_per_s, how=how):
        if reason := why_no_network():
            print(f"skipped: {reason}", flush=True)
            return
        with temporary_folder() as folder, Network() as network:
            tap, said = network.taps[0], b""
            vmm = ApiVmm(folder, *NO_LOG, command=network.command, socket_name="start")
            try:
                vmm.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=make_disk(folder), io_engine="Async")
                start_generations(vmm, folder, mb_per_s=mb_per_s, disk="/dev/vda", tap=tap)
                with Peer(network, tap) as peer:
                    for number in range(CYCLES):
                        peer.wait_for_more(NUMBERS)
                        vmm, before = saved_and_loaded(vmm, folder, number, network.command, **how)
                        said += before
                    peer.wait_for_more(NUMBERS)
                wait_until_checked(vmm)
                wait_for_ticks(vmm, 70)  # what was read of the disk is checked 64 ticks later
                kill([vmm])
                expect_one_sequence(said + read_all(vmm))
            finally:
                vmm.close()


class VsockPeers:
    """The host's two connections with a guest that `vsock_guest reset` runs in, at this path."""

    def __init__(self, vmm, path):
        accepted, over = queue.Queue(), queue.Queue()

        def serve(connection):
            accepted.put(connection)
            over.get()

        self._stack = contextlib.ExitStack()
        self._stack.callback(over.put, None)
        self._stack.enter_context(vsock.Listener(path, HOST_PORT, serve))
        try:
            vmm.wait_for(b"listening\n")
            self.ends = [self._stack.enter_context(vsock.connect(path, PORT)), accepted.get(timeout=30 * TIME_SCALE)]
            vmm.wait_for(b"open\n")
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def expect_over(self):
        """Both hear that it is over."""
        for end in self.ends:
            with contextlib.suppress(ConnectionResetError):
                expect(end.recv(1) == b"", "data comes")


def expect_reset(vmm):
    """The guest hears it of both connections."""
    for which in (b"in", b"out"):
        said = vmm.wait_for(b"\n")
        expect(said == which + b": Connection reset by peer", f"the guest reads {said!r}")


def save_and_load(one, two, folder, vsock_override):
    """The guest goes on in both; the device of a paused one stands still."""
    one.api.patch("/vm", state="Paused")
    one.api.put("/snapshot/create", **names(folder))
    load(two, folder, resume_vm=True, vsock_override=vsock_override)
    one.api.patch("/vm", state="Resumed")
    expect_reset(one)


def migrate(one, two, folder, vsock_override):
    move(one, two, folder, place={"vsock_override": vsock_override})
    kill([one])


for what, go_on in (("snapshot", save_and_load), ("migration", migrate)):
    @test(f"{what}: of two open vsock connections the guest hears that they are reset and the host that they are over, and new ones come")
    def _(go_on=go_on):
        with temporary_folder() as folder:
            first, second = (os.path.join(folder, name) for name in ("vsock", "other"))
            with ApiVmm(folder, *NO_LOG, socket_name="a") as one, ApiVmm(folder, *NO_LOG, socket_name="b") as two:
                one.api.put("/vsock", guest_cid=3, uds_path=first)
                boot_counter(one, folder, "vsock_guest", f"-- reset {PORT} {HOST_PORT}")
                with VsockPeers(one, first) as peers:
                    go_on(one, two, folder, {"uds_path": second})
                    peers.expect_over()
                expect_reset(two)
                with VsockPeers(two, second) as peers:
                    for end in peers.ends:
                        end.close()
                    for which in (b"in", b"out"):
                        said = two.wait_for(b"\n")
                        expect(said == which + b": end", f"the guest reads {said!r}")
                expect(two.wait_end() == 0, "the program's exit code")
