"""Host programs for vsock tests: they talk to a microVM's guest through unix sockets, as with Firecracker."""
import hashlib
import socket
import threading

from harness import DEADLINE_S, Failure

PIECE_BYTES = 64 * 1024


def connect(uds_path, port, deadline_s=DEADLINE_S):
    """A connection to this port of the guest, which has accepted it. Raises Failure when it does not."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(deadline_s)
    connection.connect(str(uds_path))
    connection.sendall(f"CONNECT {port}\n".encode())
    line = _read_line(connection)
    words = line.split()
    if len(words) != 2 or words[0] != b"OK" or not words[1].isdigit():
        connection.close()
        raise Failure(f"the guest's port {port} answers {line!r} to CONNECT")
    return connection


def _read_line(connection):
    line = b""
    while not line.endswith(b"\n") and len(line) < 32:
        byte = connection.recv(1)  # what follows the line is the guest's
        if not byte:
            break
        line += byte
    return line


def read_all(connection):
    """What comes until the other side stops sending."""
    pieces = []
    while piece := connection.recv(PIECE_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


def exchange(connection, data):
    """Sends all of it and then the end, and returns what comes until the end, both at once."""

    def send():
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    received = read_all(connection)
    sender.join(DEADLINE_S)
    return received


def checksum(data):
    return hashlib.sha256(data).hexdigest()


class Listener:
    """What the guest reaches at this port of the host: `serve` is called with each connection, on a thread of its own.

    with Listener(uds_path, 52, lambda connection: connection.sendall(read_all(connection))): ...
    """

    def __init__(self, uds_path, port, serve, backlog=1024):
        self.path = f"{uds_path}_{port}"
        self.failures = []
        self._serve = serve
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen(backlog)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._socket.shutdown(socket.SHUT_RDWR)  # which ends accept()
        self._thread.join(DEADLINE_S)
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(DEADLINE_S)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with connection:
            try:
                self._serve(connection)
            except OSError as error:
                self.failures.append(error)
