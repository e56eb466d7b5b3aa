"""A wire between the two sides of a migration that does something at a message of one's choice."""
import collections
import os
import socket
import struct
import threading

from api import connect, receive
from state_file import crc32c

KINDS = ("hello", "pages", "zero_pages", "state", "commit", "accept", "ready", "taken", "refused", "drive_pages",
         "drive_zero_pages", "sync", "synced", "packed", "join", "missing_pages", "want")
HEAD_BYTES = 12
RECORD_HEAD_BYTES = 5


class Wire:
    """`with Wire(folder) as wire:` the source sends to wire.front, the destination listens at wire.back. At the
    message number `count` of `kind`, over whichever connection it comes, calls `act`, after that share of it has crossed (0 or
    False: nothing, 1 or True: all, else a part), and hangs up all connections, or with cuts_one=True only that one. What is
    encrypted with TLS has the kinds "record", from the source, and "record_back"."""

    def __init__(self, folder, kind, count, share, act=lambda: None, cuts_one=False):
        self.front, self.back = (os.path.join(folder, name) for name in ("front", "back"))
        self._point = kind, count
        self._share, self._act, self._cuts_one = share, act, cuts_one
        self._is_tls = kind.startswith("record")
        self._seen = collections.Counter()
        self._lock = threading.Lock()
        self._is_cut = False
        self.has_come = False  # the message, of which no byte has crossed yet
        self.reached = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.front)
        self._listener.listen(8)
        self._ends = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._cut()
        for thread in self._threads:
            thread.join(30)
        for end in (self._listener, *self._ends):  # only now: a number would be another's
            end.close()

    def _serve(self):
        while True:
            try:
                source, _ = self._listener.accept()
                destination = connect(self.back)
            except OSError:
                return
            self._ends += [source, destination]
            for one, other, record in ((source, destination, "record"), (destination, source, "record_back")):
                thread = threading.Thread(target=self._pump, args=(one, other, record), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, one, other, record):
        try:
            while not self._is_cut:
                head = receive(one, RECORD_HEAD_BYTES if self._is_tls else HEAD_BYTES)
                if self._is_tls:
                    kind, size = record, struct.unpack("!3xH", head)[0]
                else:
                    number, size = struct.unpack("<2xHI", head[:8])
                    kind = KINDS[number]
                self._pass_on(one, other, kind, head + receive(one, size))
        except OSError:
            hang_up(one, other)

    def _pass_on(self, one, other, kind, message):
        with self._lock:
            if self._is_cut:
                return
            is_the_one = (kind, self._seen[kind]) == self._point
            self._seen[kind] += 1
            if is_the_one:
                self.has_come = True
                other.sendall(part(message, self._share))
                self._act()
                self._is_cut = not self._cuts_one
        if not is_the_one:
            other.sendall(message)
            return
        hang_up(one, other)
        if self._is_cut:
            self._cut()
        self.reached.set()

    def _cut(self):
        self._is_cut = True
        hang_up(self._listener, *self._ends)


class OtherHello(Wire):
    """A wire that is never cut, and over which the hello's payload comes as `change` makes it."""

    def __init__(self, folder, change):
        super().__init__(folder, "hello", -1, share=True)
        self._change = change

    def _pass_on(self, one, other, kind, message):
        if kind == "hello":
            payload = self._change(message[HEAD_BYTES:])
            head = message[:4] + struct.pack("<I", len(payload))
            message = head + struct.pack("<I", crc32c(head + payload)) + payload
        super()._pass_on(one, other, kind, message)


def part(message, share):
    """As much of it as crosses; a part is neither nothing nor all."""
    if share in (0, 1):
        return message if share else b""
    return message[:min(max(1, int(len(message) * share)), len(message) - 1)]


def hang_up(*ends):
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
