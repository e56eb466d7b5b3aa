"""A network of its own for system tests: a network namespace with TAPs in it.

The namespace has no name: it and all that is in it are gone with the last process that uses it, also
when the tests are killed. Nothing is added to the host's network.
"""
import ctypes
import json
import os
import socket
import subprocess
import threading

from harness import Failure, expect, run, skip

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function.__name__}: {os.strerror(error)}")


def on_own_thread(function):
    """What `function` returns; what it does to its thread is over afterwards."""
    outcome = []

    def body():
        try:
            outcome.append((function(), None))
        except OSError as error:
            outcome.append((None, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error:
        raise error
    return value


def new_namespace():
    """A descriptor that keeps a fresh network namespace alive."""

    def unshare():
        call(LIBC.unshare, CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return on_own_thread(unshare)


def why_no_network():
    """None, or the reason why there can be no namespace with a TAP here."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
        os.close(new_namespace())
        return None
    except OSError as error:
        return f"no network namespace with a TAP ({error})"


def need_network():
    """Ends a test that needs a namespace with a TAP, where there can be none."""
    if reason := why_no_network():
        skip(reason)


class Tap:
    """One TAP, up, with the host's address on it. The guest's is the next one."""

    def __init__(self, number, mtu):
        self.name = f"tap{number}"
        self.mtu = mtu
        self.host_address = f"10.88.{number}.1"
        self.guest_address = f"10.88.{number}.2"
        self.guest_mac = f"06:00:0a:58:{number:02x}:02"
        self.prefix_bits = 24


class Network:
    """`with Network(taps=2) as network:` to have it, `network.run([...])` to run something in it. Bridged: a bridge
    joins the TAPs and has the first one's host address."""

    def __init__(self, taps=1, mtu=1500, bridged=False):
        self.taps = [Tap(number, mtu) for number in range(taps)]
        self.namespace = new_namespace()
        try:
            self.ip("link", "set", "lo", "up")
            for tap in self.taps:
                self.add(tap)
            if bridged:
                self._bridge()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.namespace is not None:
            os.close(self.namespace)
            self.namespace = None

    def add(self, tap):
        self.ip("tuntap", "add", "dev", tap.name, "mode", "tap", "vnet_hdr")
        self.ip("link", "set", tap.name, "mtu", tap.mtu, "up")
        self.ip("address", "add", f"{tap.host_address}/{tap.prefix_bits}", "dev", tap.name)

    def _bridge(self):
        self.ip("link", "add", "bridge0", "type", "bridge")
        for tap in self.taps:
            self.ip("address", "flush", "dev", tap.name)
            self.ip("link", "set", tap.name, "master", "bridge0")
        self.ip("link", "set", "bridge0", "up")
        self.ip("address", "add", f"{self.taps[0].host_address}/{self.taps[0].prefix_bits}", "dev", "bridge0")

    def command(self, words):
        """The words that run `words` in the namespace, for subprocess. This process keeps it open."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.namespace}", "--", *map(str, words)]

    def run(self, words, **more):
        """As harness.run(), in the namespace."""
        return run(self.command(words), **more)

    def popen(self, words, **more):
        """A process in the namespace. It keeps the namespace alive as long as it lives."""
        return subprocess.Popen(self.command(words), **more)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket of the namespace, wherever it is used."""

        def make():
            call(LIBC.setns, self.namespace, CLONE_NEWNET)
            return socket.socket(family, kind, protocol)

        return on_own_thread(make)

    def ip(self, *words):
        """`ip WORDS`; what it says."""
        result = self.run(["ip", *words])
        if result.code != 0:
            raise Failure(f"ip {' '.join(map(str, words))}: {result}")
        return result.out

    def link(self, name):
        """All that `ip` knows about an interface, as a dictionary."""
        return json.loads(self.ip("-json", "-details", "-statistics", "link", "show", name))[0]


def expect_interface(network, tap):
    """The TAP is as it was asked for."""
    link = network.link(tap.name)
    expect(link["mtu"] == tap.mtu and "UP" in link["flags"], f"{tap.name}: {link}")
    kind = link["linkinfo"]["info_data"]
    expect(kind["type"] == "tap" and kind["vnet_hdr"], f"{tap.name}: {kind}")
    expect(not kind["multi_queue"], f"{tap.name}: {kind}")
