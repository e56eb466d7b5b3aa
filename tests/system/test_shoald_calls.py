"""shoald: requests to a microVM's vsock port, and jobs that are waited for."""
import json
import os
import sys

from daemon import Daemon
from harness import BUSYBOX, SHOAL, expect, expect_refused, run, temporary_folder, test

ECHO = """
import socket
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 7))
listener.listen()
print('listening', flush=True)
while True:
    connection, _ = listener.accept()
    request = b''
    while piece := connection.recv(65536):
        request += piece
    if request == b'be silent':
        open_one = connection
        continue
    count = int(request[1:]) if request[:1] == b'*' else 0
    try:
        connection.sendall(b'x' * count or request.upper())
    except BrokenPipeError:
        pass  # too much for whoever asked
    connection.close()
"""
LIBRARY = f"/usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"


def shoal(daemon, *words, stdin=b""):
    return run([SHOAL, *words, "--socket", daemon.socket], stdin=stdin)


@test("shoald: a request reaches a port of a clone by its vsock device, and its reply comes back, within limits")
def calls():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        source = os.path.join(folder, "source")
        made = run([SHOAL, "snapshot", "--to", source, "--memory", "256", "--with", LIBRARY, "--vsock",
                    "--ready-line", "listening", "--", "python3", "-c", ECHO])
        expect(made.code == 0, f"{made}")
        daemon.done("POST", "/v1/templates", {"name": "echo", "from": source, "vsock": True})
        for name in ("a", "b"):
            daemon.done("POST", "/v1/microvms", {"name": name, "template": "echo"})
        sockets = {daemon.wait_phase(name, "running")["status"]["vsock"] for name in ("a", "b")}
        expect(len(sockets) == 2 and all(os.path.exists(path) for path in sockets), f"{sockets}")
        said = shoal(daemon, "call", "a", "7", stdin=b"hello")
        expect((said.code, said.out) == (0, b"HELLO"), f"{said}")
        large = shoal(daemon, "call", "b", "7", stdin=b"x" * 500_000)
        expect(large.out == b"X" * 500_000, f"{len(large.out)} bytes, {large.err}")
        answers = [
            (502, "/v1/microvms/a/call?port=8", b"", "nobody listens on port 8"),
            (504, "/v1/microvms/a/call?port=7&timeout_s=1", b"be silent", "within 1 s"),
            (502, "/v1/microvms/a/call?port=7", b"*5000000", "4194304"),
            (400, "/v1/microvms/a/call", b"", "port is missing"),
            (400, "/v1/microvms/a/call?port=4294967295", b"", "4294967294"),
            (404, "/v1/microvms/c/call?port=7", b"", "c"),
        ]
        for status, path, body, piece in answers:
            expect(piece in daemon.refused(status, "POST", path, body.decode()), path)
        daemon.create(BUSYBOX, "sleep", "1000", name="plain")
        expect("no vsock" in daemon.refused(409, "POST", "/v1/microvms/plain/call?port=7"), "no device")
        said = shoal(daemon, "call", "a", "7", stdin=b"still there")
        expect(said.out == b"STILL THERE", f"{said}")


@test("shoald: a job's output and exit code come in one command")
def jobs():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        path = os.path.join(folder, "job.json")

        def write(*arguments, **more):
            with open(path, "w") as file:
                json.dump({"kind": "microvm", "spec": {"program": BUSYBOX, "arguments": [*arguments], **more}}, file)

        write("sh", "-c", "echo out; echo err >&2; exit 7", name="job")
        result = shoal(daemon, "create", "--wait", "-f", path)
        expect((result.code, result.out, result.err) == (7, b"out\nerr\n", b""), f"{result}")
        again = shoal(daemon, "wait", "job")
        expect((again.code, again.out) == (7, b"out\nerr\n"), f"{again}")
        write("sleep", "1000", time_limit_s=1)
        expect(shoal(daemon, "create", "--wait", "-f", path).code == 124, "the time limit")
        expect_refused(shoal(daemon, "wait", "nobody"), "no microVM", program="shoal")
