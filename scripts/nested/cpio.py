"""Archives in the form of Linux's initramfs: cpio, "newc" (Documentation/driver-api/early-userspace)."""
import os
import stat


class Archive:
    """Collects files in memory. Parents go in before what is below them."""

    def __init__(self):
        self._parts = []
        self._count = 0

    def _add(self, name, mode, data=b"", device=(0, 0)):
        self._count += 1
        fields = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        for part in (head, data):
            self._parts += (part, b"\0" * (-len(part) % 4))

    def folder(self, *names):
        for name in names:
            self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self._add(name, stat.S_IFREG | mode, data)

    def copy(self, name, path):
        with open(path, "rb") as source:
            self.file(name, source.read())

    def character_device(self, name, major, minor):
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self._add("TRAILER!!!", 0)
        return b"".join(self._parts)


def in_memory(data):
    """A file descriptor, to be inherited, of a file that has no name and so is never left behind."""
    fd = os.memfd_create("initramfs")
    with open(os.dup(fd), "wb") as file:
        file.write(data)
    os.set_inheritable(fd, True)
    return fd
