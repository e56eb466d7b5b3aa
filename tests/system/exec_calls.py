"""Asks the agent of exec in a guest, without shoald: its frames on a vsock connection."""
import struct

import vsock
from api import receive

PORT = 7432
START, INPUT, CREDIT, OUTPUT, ERRORS, ENDED = range(1, 7)


def frame(kind, payload=b""):
    return struct.pack("<BI", kind, len(payload)) + payload


def start(uds_path, *words):
    """A connection whose command is to run."""
    connection = vsock.connect(uds_path, PORT)
    texts = b"".join(word.encode() + b"\0" for word in ("", *words))
    connection.sendall(frame(START, struct.pack("<HH", len(words), 0) + texts))
    return connection


def read_frame(connection):
    kind, size = struct.unpack("<BI", receive(connection, 5))
    return kind, receive(connection, size)


def execute(uds_path, *words, stdin=b""):
    """Exit code, output and errors of a command."""
    with start(uds_path, *words) as connection:
        said = {OUTPUT: b"", ERRORS: b""}
        is_open = True
        while True:
            kind, payload = read_frame(connection)
            if kind == ENDED:
                return payload[0], said[OUTPUT], said[ERRORS] + payload[1:]
            if kind != CREDIT:
                said[kind] += payload
            elif is_open:
                piece, stdin = stdin[:struct.unpack("<I", payload)[0]], stdin[struct.unpack("<I", payload)[0]:]
                is_open = bool(stdin)
                connection.sendall((frame(INPUT, piece) if piece else b"") + (b"" if is_open else frame(INPUT)))
