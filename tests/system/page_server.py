#!/usr/bin/env python3
"""A page fault handler as Firecracker's users write them: page_server.py SOCKET MEMORY_FILE. Serves one microVM the pages of
the file until it is gone, says "listening" when it listens, and how many pages it served at the end."""
import array
import ctypes
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import sys

COPY = struct.Struct("QQQQq")  # struct uffdio_copy: dst, src, len, mode, copied
UFFDIO_COPY = 3 << 30 | COPY.size << 16 | 0xAA << 8 | 0x03
MESSAGE = struct.Struct("B7xQQQ")  # struct uffd_msg of a page fault: event, flags, address, thread
PAGE_FAULT = 0x12


def receive(connection):
    """The mappings, and the userfaultfd that came with them."""
    body, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
    (level, kind, data), = control
    assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
    return json.loads(body), array.array("i", data)[0]


class Server:
    def __init__(self, mappings, faults, memory):
        self.mappings = mappings
        self.faults = faults
        self.source = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.served = 0

    def serve(self):
        _, _, address, _ = MESSAGE.unpack(os.read(self.faults, MESSAGE.size))
        page_size = self.mappings[0]["page_size"]
        address &= ~(page_size - 1)
        (mapping,) = (each for each in self.mappings
                      if 0 <= address - each["base_host_virt_addr"] < each["size"])
        source = self.source + mapping["offset"] + address - mapping["base_host_virt_addr"]
        while True:
            try:
                fcntl.ioctl(self.faults, UFFDIO_COPY, COPY.pack(address, source, page_size, 0, 0))
                self.served += 1
            except FileExistsError:
                pass  # two vCPUs wanted it
            except BlockingIOError:
                continue  # the process changes its mappings just now (ioctl_userfaultfd(2))
            return


def main(path, memory_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, open(memory_path, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        listener.bind(path)
        listener.listen()
        print("listening", flush=True)
        connection, _ = listener.accept()
        server = Server(*receive(connection), memory)
        while True:
            ready, _, _ = select.select([connection, server.faults], [], [])
            if connection in ready:
                print(json.dumps({"served": server.served, "mappings": server.mappings}), flush=True)
                return
            server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
