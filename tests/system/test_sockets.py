"""The unikernel's network: programs inside talk with the host over a TAP, and with themselves."""
import contextlib
import fcntl
import functools
import os
import random
import select
import socket
import struct
import subprocess
import termios
import threading
import time

from harness import (BUSYBOX, ENVIRONMENT, PROGRAMS, SHOAL, TIME_SCALE, Failure, expect, run, shoal,
                     temporary_folder, test)
from netns import Network, need_network

NET = PROGRAMS / "net"
PORT = 7000
LIMIT_S = 30 * TIME_SCALE
# As much in the emulated machine of tests/nested takes minutes.
BULK_MIB = 64 if TIME_SCALE == 1 else 8


def network_test(sentence):
    """A test with a network: its function takes the network. Skipped where there can be none, but not in CI."""

    def register(function):
        @test(sentence)
        @functools.wraps(function)
        def _():
            need_network()
            with Network() as network:
                tap = network.taps[0]
                network.ip("address", "add", f"{host6(tap)}/64", "dev", tap.name, "nodad")
                function(network, tap)

        return function

    return register


def host6(tap):
    return f"fd88::{tap.name[3:]}:1"


def guest6(tap):
    return f"fd88::{tap.name[3:]}:2"


def options(tap):
    return ["--network", f"tap={tap.name},ip={tap.guest_address}/{tap.prefix_bits},"
            f"gateway={tap.host_address},ip6={guest6(tap)}/64,mac={tap.guest_mac}"]


def inside(network, tap, *words, vcpus=1, **more):
    """Runs a program in a microVM on the TAP to its end."""
    return network.run([SHOAL, "run", *options(tap), "--vcpus", str(vcpus), "--", *words], **more)


@contextlib.contextmanager
def server_inside(network, tap, *words):
    """A program in a microVM that says `listening` when it does. Ended at the end, if need be."""
    command = network.command([SHOAL, "run", *options(tap), "--", *map(str, words)])
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process:
        try:
            read_line(process, "listening")
            yield process
        finally:
            process.kill()


def read_line(process, expected):
    ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
    line = process.stdout.readline().decode().strip() if ready else "nothing in time"
    expect(line == expected, f"it said {line!r} and not {expected!r}")


def end_of(process):
    """The exit code and the rest of the output."""
    try:
        out, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise Failure("the microVM did not end") from None
    return process.returncode, out.decode()


def connect(network, address, port=PORT):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = network.socket(family)
    client.settimeout(LIMIT_S)
    client.connect((address, port))
    return client


def wait_for_port(network, address, port):
    """A connection to a server that does not say when it listens."""
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            return connect(network, address, port)
        except OSError as error:
            if time.monotonic() >= end:
                raise Failure(f"nobody listens at {address}: {error}") from None
            time.sleep(0.02)


@contextlib.contextmanager
def host_server(network, address, serve):
    """Calls `serve(connection)` on a thread for the first connection to the host."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = network.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, PORT))
    listener.listen()
    listener.settimeout(LIMIT_S)
    errors = []

    def body():
        try:
            with listener.accept()[0] as connection:
                connection.settimeout(LIMIT_S)
                serve(connection)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()
    expect(not errors, f"the host's side: {errors}")


def packets_from(network, tap):
    """How many the TAP has had from the microVM."""
    return network.link(tap.name)["stats64"]["rx"]["packets"]


def read_all(connection):
    pieces = []
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


@test("sockets of one program talk over the loopback interface, IPv4 and IPv6")
def _():
    for address in ("127.0.0.1", "::1"):
        result = shoal(NET, "loopback", address, PORT)
        expect((result.code, result.out) == (0, b"listening\nend 0\n"), f"{address}: {result}")


@test("a connection to a port where nobody listens is refused inside, too")
def _():
    for address in ("127.0.0.1", "::1"):
        result = shoal(NET, "connect", address, PORT)
        expect(result.out == b"connect: Connection refused\n", f"{address}: {result}")


def expect_as_on_the_host(address, result):
    """Nobody listens for datagrams at this port, here either."""
    host = run([NET, "udp-refused", "::1" if ":" in address else "127.0.0.1", PORT])
    expect(b"recv -1 Connection refused\n" in host.out, f"the host's: {host}")
    expect((result.code, result.out) == (0, host.out), f"{address}: {result}, the host's: {host}")


@test("a datagram to a port where nobody listens is refused inside as on the host, IPv4 and IPv6")
def _():
    for address in ("127.0.0.1", "::1"):
        expect_as_on_the_host(address, shoal(NET, "udp-refused", address, PORT))


@network_test("a datagram that the host refuses is told to the program that sent it, IPv4 and IPv6")
def _(network, tap):
    for address in (tap.host_address, host6(tap)):
        expect_as_on_the_host(address, inside(network, tap, NET, "udp-refused", address, PORT))


@test("a resolver says at once that there is no name server")
def _():
    begin = time.monotonic()
    result = shoal("/usr/bin/getent", "hosts", "name.invalid")
    seconds = time.monotonic() - begin
    expect((result.code, result.out) == (2, b"") and seconds < 4 * TIME_SCALE,
           f"after {seconds:.1f} s: {result}")


@network_test("a program inside connects to the host, is refused, and cannot reach other networks")
def _(network, tap):
    for address in (tap.host_address, host6(tap)):
        refused = inside(network, tap, NET, "connect", address, PORT)
        expect(refused.out == b"connect: Connection refused\n", str(refused))
        with host_server(network, address, lambda connection: connection.recv(1)):
            result = inside(network, tap, NET, "connect", address, PORT)
        expect(result.out == b"connected\n", str(result))


@network_test(f"{BULK_MIB} MiB go out and come back unchanged, IPv4 and IPv6")
def _(network, tap):
    size = BULK_MIB << 20
    for address, guest in ((tap.host_address, tap.guest_address), (host6(tap), guest6(tap))):
        got = []
        before = packets_from(network, tap)
        with host_server(network, address, lambda connection: got.append(read_all(connection))):
            sent = inside(network, tap, NET, "send", address, PORT, size)
        expect(len(got[0]) == size, f"{len(got[0])} bytes came; {sent}")
        packets = packets_from(network, tap) - before
        expect(packets < size / (4 * tap.mtu), f"{packets} packets left the microVM: it does not batch segments")
        with server_inside(network, tap, NET, "serve-receive", guest, PORT) as server:
            with connect(network, guest) as client:
                client.sendall(got[0])
                client.shutdown(socket.SHUT_WR)
                code, out = end_of(server)
        expect(code == 0 and out == sent.out.decode().replace("sent", "received"),
               f"{address}: {sent}, then {code} {out!r}")


@network_test("a server inside answers 200 connections that are open at once")
def _(network, tap):
    count = 200
    with server_inside(network, tap, NET, "serve-many", "::", PORT, count) as server:
        clients = [connect(network, tap.guest_address) for _ in range(count)]
        read_line(server, f"holding {count}")
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
            client.shutdown(socket.SHUT_WR)
        for number, client in enumerate(clients):
            answer = read_all(client)
            expect(answer == b"%d" % number, f"connection {number} got {answer!r}")
            client.close()
        expect(end_of(server)[0] == 0, "the server failed")


@network_test("listeners that share a port get connections in turn, and all of them when the others have ended")
def _(network, tap):
    count = 10

    def who_accepts(connections):
        answers = []
        for _ in range(connections):
            with connect(network, address) as client:
                answers.append(read_all(client))
        return b"".join(sorted(answers))

    for address in (tap.guest_address, guest6(tap)):
        with server_inside(network, tap, NET, "serve-shared", address, PORT, count) as server:
            answers = who_accepts(2 * count)
            expect(answers == count * b"a" + count * b"b", f"{address}: accepted by {answers}")
            read_line(server, "a has ended")
            answers = who_accepts(count)
            expect(answers == count * b"b", f"{address}: when a has ended, accepted by {answers}")
            expect(end_of(server) == (0, "b has ended\n"), "the server failed")


@network_test("datagrams go both ways, small ones and fragmented ones, IPv4 and IPv6")
def _(network, tap):
    sizes = (0, 1, 1000, 1472, 1473, 9000, 60000)
    for guest in (tap.guest_address, guest6(tap)):
        with server_inside(network, tap, NET, "serve-udp", guest, PORT, len(sizes)) as server:
            family = socket.AF_INET6 if ":" in guest else socket.AF_INET
            with network.socket(family, socket.SOCK_DGRAM) as client:
                client.settimeout(LIMIT_S)
                for size in sizes:
                    data = random.Random(size).randbytes(size)
                    client.sendto(data, (guest, PORT))
                    expect(client.recv(65536) == data, f"{guest}: {size} bytes are not the same")
            expect(end_of(server)[0] == 0, "the server failed")


def wait_until_acknowledged(connection):
    end = time.monotonic() + LIMIT_S
    while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0] != 0:
        expect(time.monotonic() < end, "what was sent is not acknowledged")
        time.sleep(0.01)


@network_test("a peer that vanishes is given up when it answers no keep-alive")
def _(network, tap):
    done = threading.Event()

    def vanish(connection):
        connection.sendall(connection.recv(1))
        wait_until_acknowledged(connection)
        network.ip("link", "set", tap.name, "down")
        done.wait(LIMIT_S)

    with host_server(network, tap.host_address, vanish):
        try:
            result = inside(network, tap, NET, "keep-alive", tap.host_address, PORT)
        finally:
            done.set()
    expect(result.out == b"recv -1 Operation timed out\n", str(result))


@network_test("a reset by the peer is told, and a wait for nothing ends in time")
def _(network, tap):
    def reset(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with host_server(network, tap.host_address, reset):
        result = inside(network, tap, NET, "wait", tap.host_address, PORT, 20)
    expect(result.out == b"recv -1 Connection reset by peer\n", str(result))
    # SO_RCVTIMEO: nothing comes.
    done = threading.Event()
    with host_server(network, tap.host_address, lambda _: done.wait(LIMIT_S)):
        try:
            result = inside(network, tap, NET, "wait", tap.host_address, PORT, 1)
        finally:
            done.set()
    expect(result.out == b"recv -1 Resource temporarily unavailable\n", str(result))


@network_test("busybox wget fetches 5 MB from the host's httpd")
def _(network, tap):
    data = random.Random(5).randbytes(5_000_000)
    with temporary_folder() as work:
        with open(os.path.join(work, "file"), "wb") as file:
            file.write(data)
        with network.popen([BUSYBOX, "httpd", "-f", "-p", f"{tap.host_address}:8080", "-h", work]) \
                as server:
            try:
                wait_for_port(network, tap.host_address, 8080)
                url = f"http://{tap.host_address}:8080/file"
                result = inside(network, tap, BUSYBOX, "wget", "-q", "-O", "-", url)
            finally:
                server.kill()
    expect((result.code, result.out == data) == (0, True), str(result))


@network_test("busybox nc inside listens, and passes bytes both ways")
def _(network, tap):
    command = [SHOAL, "run", *options(tap), "--", BUSYBOX, "nc", "-l", "-p", PORT]
    with network.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       env=ENVIRONMENT) as server:
        try:
            with wait_for_port(network, tap.guest_address, PORT) as client:
                server.stdin.write(b"from inside\n")
                server.stdin.flush()
                expect(client.recv(100) == b"from inside\n", "it said something else")
                client.sendall(b"from the host\n")
                client.shutdown(socket.SHUT_WR)
                expect(end_of(server) == (0, "from the host\n"), "it ended otherwise")
        finally:
            server.kill()


# udhcpd's configuration: one address, for the microVM.
DHCP_SERVER = """
start {guest}
end {guest}
interface {tap}
lease_file {work}/leases
pidfile {work}/pid
option subnet 255.255.255.0
option router {host}
option lease 3600
"""


@contextlib.contextmanager
def dhcp_server(network, tap, work, configuration=DHCP_SERVER):
    path = os.path.join(work, "udhcpd.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(configuration.format(guest=tap.guest_address, host=tap.host_address, tap=tap.name,
                                      work=work))
    with network.popen([BUSYBOX, "udhcpd", "-f", "-I", tap.host_address, path],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.kill()


@network_test("a microVM takes its address by DHCP")
def _(network, tap):
    with temporary_folder() as work, dhcp_server(network, tap, work):
        command = [SHOAL, "run", "--network", f"tap={tap.name}", "--", NET, "serve-echo", "0.0.0.0",
                   PORT]
        with network.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           env=ENVIRONMENT) as server:
            try:
                read_line(server, "listening")
                with connect(network, tap.guest_address) as client:
                    client.sendall(b"leased")
                    client.shutdown(socket.SHUT_WR)
                    expect(read_all(client) == b"leased", "the answer is another one")
                expect(end_of(server)[0] == 0, "the server failed")
            finally:
                server.kill()


@test("--network says what is wrong with it", needs_kvm=False)
def _():
    for words, piece in (("", "tap=NAME"), ("tap=x,ip=1.2.3", "10.0.0.2/24"),
                         ("tap=x,ip=1.2.3.4/33", "10.0.0.2/24"), ("tap=x,speed=9", "speed=9"),
                         ("tap=x,ip6=1.2.3.4/24", "fd00::2/64"),
                         ("tap=x,gateway=1.2.3.4", "gateway=1.2.3.4"), ("ip=1.2.3.4/24", "tap=NAME")):
        result = run([SHOAL, "run", "--network", words, "--", BUSYBOX, "true"])
        lines = result.err.decode().splitlines()
        expect(result.code == 125 and len(lines) == 1 and piece in lines[0], f"{words}: {result}")
