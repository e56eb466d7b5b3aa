"""Vsock sockets of the unikernel: programs inside and programs of the host talk through unix sockets."""
import contextlib
import os
import select
import socket
import struct
import subprocess

import vsock
from harness import DEADLINE_S, PROGRAMS, SHOAL, expect, shoal, temporary_folder, test

VSOCK = PROGRAMS / "vsock_guest"
PORT = 5000


@contextlib.contextmanager
def echo_server(connection_count):
    """A microVM that echoes so many connections and ends; the path of its vsock device's unix socket."""
    with temporary_folder() as folder:
        path = f"{folder}/v.sock"
        words = [SHOAL, "run", "--vsock", path, "--timeout", str(DEADLINE_S), "--", VSOCK, "echo", str(PORT),
                 str(connection_count)]
        guest = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            readable, _, _ = select.select([guest.stdout], [], [], DEADLINE_S)
            line = guest.stdout.readline() if readable else b""
            expect(line == b"listening\n", f"the guest says {line!r}")
            yield path
            output, _ = guest.communicate(timeout=DEADLINE_S)
            expect(guest.returncode == 0 and output == b"", f"exit code {guest.returncode}, output {output!r}")
        finally:
            guest.kill()
            guest.wait()
            guest.stdout.close()


@test("vsock: the host connects in, and 8 MB come back as they were, with a half close")
def _():
    data = os.urandom(8 << 20)
    with echo_server(1) as path, vsock.connect(path, PORT) as connection:
        answer = vsock.exchange(connection, data)
        expect(vsock.checksum(answer) == vsock.checksum(data), f"{len(answer)} bytes came back")


@test("vsock: an epoll server in the guest has 100 connections at once")
def _():
    with echo_server(100) as path, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(vsock.connect(path, PORT)) for _ in range(100)]
        for number, connection in enumerate(connections):
            connection.sendall(b"%d" % number)
        for number, connection in enumerate(connections):
            connection.shutdown(socket.SHUT_WR)
            expect(vsock.read_all(connection) == b"%d" % number, f"connection {number}")


@test("vsock: a host program that goes away ends its connection alone")
def _():
    with echo_server(2) as path:
        gone = vsock.connect(path, PORT)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.sendall(b"x" * 100000)
        gone.close()
        with vsock.connect(path, PORT) as connection:
            expect(vsock.exchange(connection, b"still there") == b"still there", "the second connection")


@test("vsock: nobody who listens at a port of the guest is a refusal")
def _():
    with echo_server(1) as path:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(DEADLINE_S)
            connection.connect(path)
            connection.sendall(b"CONNECT 77\n")
            expect(connection.recv(1) == b"", "port 77 answers")
        with vsock.connect(path, PORT) as connection:
            expect(vsock.exchange(connection, b"bye") == b"bye", "the port that there is")


@test("vsock: the guest connects out, and its 8 MB reach the host before it ends")
def _():
    def answer(connection):
        connection.sendall(vsock.checksum(vsock.read_all(connection)).encode())

    sent = bytes(i % 251 for i in range(64 << 10)) * 128
    with temporary_folder() as folder, vsock.Listener(f"{folder}/v.sock", 52, answer):
        result = shoal(VSOCK, "call", "52", str(len(sent)), options=["--vsock", f"{folder}/v.sock"])
    expect(result.code == 0 and result.out.decode().splitlines() == ["from 3 to 2:52", vsock.checksum(sent)],
           str(result))


@test("vsock: a guest whose host program ends at once comes to the end, and not to a stop")
def _():
    def leave(connection):
        connection.recv(1)  # and what is left unread makes it a reset

    with temporary_folder() as folder, vsock.Listener(f"{folder}/v.sock", 54, leave):
        result = shoal(VSOCK, "call", "54", str(8 << 20), options=["--vsock", f"{folder}/v.sock"])
    expect(result.code in (0, 1) and result.out.startswith(b"from 3 to 2:54\n"), str(result))


@test("vsock: connect() to a port of the host where nobody listens fails as on Linux")
def _():
    with temporary_folder() as folder:
        result = shoal(VSOCK, "refused", "53", options=["--vsock", f"{folder}/v.sock"])
    expect(result.code == 0 and result.out.decode().splitlines() == [
        "blocking: Connection reset by peer", "non-blocking: Operation in progress",
        "SO_ERROR: Connection reset by peer"], str(result))


@test("vsock: without a device there is nobody to connect to")
def _():
    result = shoal(VSOCK, "call", "52", "1")
    expect(result.code == 1 and result.out == b"connect: No such device\n", str(result))
