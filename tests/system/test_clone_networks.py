"""Clones on a network: each has a TAP, a MAC and addresses of its own."""
import contextlib
import json
import os
import socket
import subprocess
import time

from api import ApiVmm
from harness import SHOAL, TIME_SCALE, expect, expect_refused, temporary_folder, test
from netns import Network, need_network
from snapshot_calls import names
from test_clones import NO_LOG, PYTHON

COUNT = 3
# Listens before it is copied. Whoever asks learns which copy it is, and at which address it was reached.
SERVER = """
import socket
listeners = [socket.create_server(('0.0.0.0', 7)), socket.create_server(('::', 7), family=socket.AF_INET6)]
number = open('/dev/clone', 'rb').read().split(b'\\0')[0]
for listener in listeners:
    connection, _ = listener.accept()
    connection.sendall(number + b' ' + connection.getsockname()[0].encode())
    connection.close()
print('done', flush=True)
"""


@contextlib.contextmanager
def bridged():
    """A bridge with COUNT TAPs, and the host's addresses on it."""
    with Network(taps=COUNT) as network:
        network.ip("link", "add", "bridge", "type", "bridge")
        network.ip("address", "add", "10.88.200.1/24", "dev", "bridge")
        network.ip("-6", "address", "add", "fd00::1/64", "dev", "bridge", "nodad")
        network.ip("link", "set", "bridge", "up")
        for tap in network.taps:
            network.ip("link", "set", tap.name, "master", "bridge")
        yield network


def macs_behind(network, tap):
    """The addresses that the bridge has seen behind the TAP."""
    entries = json.loads(network.run(["bridge", "-json", "fdb", "show", "dynamic"]).out)
    return {entry["mac"] for entry in entries if entry["ifname"] == tap.name}


def wait_for_mac(network, tap, mac):
    deadline = time.monotonic() + 30 * TIME_SCALE
    while mac not in macs_behind(network, tap):
        expect(time.monotonic() < deadline, f"{mac} never speaks at {tap.name}: {macs_behind(network, tap)}")
        time.sleep(0.005)


def ask(network, family, address):
    with network.socket(family) as client:
        client.settimeout(30 * TIME_SCALE)
        client.connect((address, 7))
        return client.makefile("rb").read().decode()


def make_template(network, folder, words):
    result = network.run([SHOAL, "snapshot", "--to", folder, "--network", words, *PYTHON, "--", "python3", "-c", SERVER])
    expect(result.code == 0 and result.err == b"", f"no template: {result}")


@test("clone networks: three clones of a server that listens answer at addresses of their own, IPv4 and IPv6")
def _():
    need_network()
    with temporary_folder() as folder, bridged() as network:
        make_template(network, folder, "tap=tap0,ip=10.88.200.2/24,gateway=10.88.200.1,ip6=fd00::2/64")
        clones = network.popen([SHOAL, "clone", "--from", folder, "--network",
                                "tap=tap{},ip=10.88.200.9/24,gateway=10.88.200.1,ip6=fd00::9/64", str(COUNT)],
                               stdout=subprocess.DEVNULL)
        try:
            for number, tap in enumerate(network.taps):
                wait_for_mac(network, tap, f"02:00:0a:58:c8:{9 + number:02x}")  # nobody has asked
                address = f"10.88.200.{9 + number}"
                said = ask(network, socket.AF_INET, address)
                expect(said == f"{number} {address}", f"clone {number} says {said!r}")
                address = f"fd00::{9 + number:x}"
                said = ask(network, socket.AF_INET6, address)
                expect(said == f"{number} {address}", f"clone {number} says {said!r}")
            expect(clones.wait(30 * TIME_SCALE) == 0, "the clones' end")
        finally:
            clones.kill()
            clones.wait()


@test("clone networks: what cannot be is refused with a sentence")
def _():
    need_network()
    with temporary_folder() as folder, bridged() as network:
        make_template(network, folder, "tap=tap0,ip=10.88.200.2/24")
        for words, pieces in (("tap=tap0,ip=10.88.200.9/24", ["a TAP each"]), ("tap=tap{}", ["mac= or ip="]),
                              ("tap=tap{},ip=10.88.200.255/24", ["addresses behind it"])):
            result = network.run([SHOAL, "clone", "--from", folder, "--network", words, "3"])
            expect_refused(result, *pieces, program="shoal")
        body = {"snapshot_path": names(folder)["snapshot_path"], "mem_file_path": names(folder)["mem_file_path"]}
        long_args = {"clone": {"id": "a", "boot_args": "x" * 2049}}
        cases = (({"network_overrides": [{"iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": "1:2"}]}, ["MAC"], False),
                 ({"network_overrides": [{"iface_id": "x", "host_dev_name": "tap0", "guest_mac": "02:00:00:00:00:01"}]},
                  ["Unknown Network Device: x"], True), (long_args, ["boot_args", "2048"], True))
        for more, pieces, ends in cases:
            with ApiVmm(folder, *NO_LOG, command=network.command, socket_name="refused") as vmm:
                vmm.api.expect_fault_with(pieces, "PUT", "/snapshot/load", {**body, **more})
                expect(not ends or vmm.wait_end() == 1, "the process ends")
            os.unlink(os.path.join(folder, "refused"))
