"""Who may be at the other end of a drive's `socket`: qemu-storage-daemon, and backends that answer nonsense."""
import contextlib
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time

from harness import TIME_SCALE, expect, skip

GET_FEATURES, GET_VRING_BASE, GET_PROTOCOL_FEATURES, GET_CONFIG = 1, 11, 15, 24
# Virtio 1, vhost-user's own, indirect descriptors, event indices; flush, discard and the like.
FEATURES = 1 << 32 | 1 << 30 | 1 << 29 | 1 << 28 | 0x6244
PROTOCOL_FEATURES = 1 << 9 | 1 << 3  # configuration, answers to everything
REPLY, NEED_REPLY = 5, 8
# How many messages it takes to agree on the protocol: a backend that is odd from the first is no drive at all.
AGREED = 5


def need_storage_daemon():
    """Ends a test where qemu-storage-daemon is not installed."""
    if shutil.which("qemu-storage-daemon") is None:
        skip("qemu-storage-daemon is not installed")


def serve_disk(disk, path):
    """qemu-storage-daemon with an export of this image, once it listens. The caller ends it."""
    server = subprocess.Popen(
        ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=disk,filename={disk}", "--export",
         f"type=vhost-user-blk,id=export,addr.type=unix,addr.path={path},node-name=disk,writable=on"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10 * TIME_SCALE
    while not os.path.exists(path):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            server.wait()
            expect(False, "qemu-storage-daemon does not serve")
        time.sleep(0.005)
    return server


class OddBackend:
    """Agrees on the protocol, and then answers nonsense, or hangs up after a few messages. It serves no queue."""

    def __init__(self, path, seed, good_messages):
        self.random = random.Random(seed)
        self.good_messages = good_messages
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)

    def _serve(self):
        with contextlib.suppress(OSError):
            connection, _ = self.listener.accept()
            with connection:
                count = 0
                while (message := self._receive(connection)) is not None:
                    count += 1
                    if count <= self.good_messages:
                        self._answer(connection, *message)
                    elif not self._answer_oddly(connection, *message):
                        return

    @staticmethod
    def _receive(connection):
        header = connection.recv(12, socket.MSG_WAITALL)  # descriptors that come along are dropped
        if len(header) < 12:
            return None
        request, flags, size = struct.unpack("<III", header)
        return request, flags, connection.recv(size, socket.MSG_WAITALL) if size else b""

    @staticmethod
    def _answer(connection, request, flags, payload):
        answers = {GET_FEATURES: struct.pack("<Q", FEATURES), GET_VRING_BASE: payload,
                   GET_PROTOCOL_FEATURES: struct.pack("<Q", PROTOCOL_FEATURES),
                   GET_CONFIG: payload[:12] + struct.pack("<Q", 8192) + payload[20:]}
        answer = answers.get(request, struct.pack("<Q", 0) if flags & NEED_REPLY else None)
        if answer is not None:
            connection.sendall(struct.pack("<III", request, REPLY, len(answer)) + answer)

    def _answer_oddly(self, connection, request, flags, payload):
        """False: it hangs up."""
        size = self.random.choice((0, 8, 8, 288, 289, 0xFFFFFFFF))
        answer = self.random.choice((
            struct.pack("<III", self.random.choice((request, request + 1)), self.random.choice((1, 5, 0)), size),
            struct.pack("<III", request, REPLY, 8) + b"\x01" * 8,
            bytes(self.random.randrange(256) for _ in range(self.random.randrange(400))),
            payload,
        ))
        connection.sendall(answer)
        return self.random.random() < 0.5
