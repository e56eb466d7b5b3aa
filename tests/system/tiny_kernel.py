"""Kernels of a few bytes: 32-bit code that starts by PVH, without interrupts."""
import os
import struct

KERNEL_AT = 0x100000


def elf(segments, elf_class=2, machine=62, entry=KERNEL_AT, with_note=True, contents=b"\xf4" * 256):
    """An ELF kernel with a PVH note. Segments: (address, file size, memory size[, file offset])."""
    count = len(segments) + with_note
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry) if with_note else b""
    note_at = 64 + 56 * count
    data_at = note_at + len(note)
    headers = b""
    for segment in segments:
        address, file_size, memory_size = segment[:3]
        offset = segment[3] if len(segment) > 3 else data_at
        headers += struct.pack("<IIQQQQQQ", 1, 7, offset, address, address, file_size, memory_size, 0)
    if with_note:
        headers += struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(note), len(note), 4)
    header = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", elf_class, 1, 1, 0, 2, machine, 1, entry,
                         64, 0, 0, 64, 56, count, 64, 0, 0)
    return header + headers + note + contents


def write_kernel(folder, code, name="kernel"):
    """The path of a kernel that is this code."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(elf([(KERNEL_AT, len(code), len(code))], contents=code))
    return path


def out_dword(port, value):
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb8" + struct.pack("<I", value) + b"\xef"


def out_bytes(data):
    """mov dx, 0x3f8; then mov al, byte; out dx, al for each. At most as many as the port's queue takes."""
    return b"\x66\xba\xf8\x03" + b"".join(b"\xb0" + bytes([byte]) + b"\xee" for byte in data)


EXIT_0 = out_dword(0x501, 0)
IDLE = b"\xf4\xeb\xfd"  # hlt; jmp to it
BOOT_TIMER = b"\xb0\x7b\xa2\x00\x00\x00\xc0"  # mov al, 123; mov [0xc0000000], al


WAIT_FOR_SERIAL = b"\x66\xba\xfd\x03\xec\xa8\x20\x74\xfb"  # mov dx, 0x3fd; in al, dx; test al, 0x20; jz to the in


def talking(count):
    """Fills the serial port's queue of 16 bytes so many times, when it is empty."""
    body = WAIT_FOR_SERIAL + b"\x66\xba\xf8\x03" + b"\xee" * 16 + b"\x4b"  # mov dx, 0x3f8; out dx, al; dec ebx
    return b"\xbb" + struct.pack("<I", count) + body + b"\x75" + struct.pack("<b", -len(body) - 2)


def counting(delay=1000):
    """Counts 0 to 255, and again, on the serial port: waits until that takes a byte, then `delay` loops."""
    send = b"\x66\xba\xf8\x03\x88\xd8\xee\xfe\xc3"  # mov dx, 0x3f8; mov al, bl; out dx, al; inc bl
    rest = b"\xb9" + struct.pack("<I", delay) + b"\xe2\xfe"  # mov ecx, delay; loop to itself
    body = WAIT_FOR_SERIAL + send + rest
    return b"\xb3\x00" + body + b"\xeb" + struct.pack("<b", -len(body) - 2)
