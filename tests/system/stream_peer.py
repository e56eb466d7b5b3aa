#!/usr/bin/env python3
"""stream_peer FD: reads the numbers that `generations` sends over the connection FD and checks that each is the next
one. A line on stdin is answered with "NUMBER GAP": how many have come in all, and the longest time in us between two
arrivals since the last answer. Ends with an error when a number is lost or doubled, or the connection is."""
import select
import socket
import struct
import sys
import time


def main():
    connection = socket.socket(fileno=int(sys.argv[1]))
    poll = select.poll()
    for end in (connection, sys.stdin):
        poll.register(end, select.POLLIN)
    data, number, gap_ns, last_ns = b"", 0, 0, time.monotonic_ns()
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if connection.fileno() in ready:
            data += connection.recv(1 << 16) or sys.exit("the connection is closed")
            now_ns = time.monotonic_ns()
            gap_ns, last_ns = max(gap_ns, now_ns - last_ns), now_ns
            while len(data) >= 8:
                if struct.unpack("<Q", data[:8])[0] != number:
                    sys.exit(f"{data[:8]!r} comes instead of {number}")
                data, number = data[8:], number + 1
        elif sys.stdin.fileno() in ready:
            if not sys.stdin.readline():
                return
            print(number, gap_ns // 1000, flush=True)
            gap_ns = 0


main()
