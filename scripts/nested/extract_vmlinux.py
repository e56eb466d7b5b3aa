"""extract_vmlinux.py VMLINUZ VMLINUX: takes the ELF kernel out of a bzImage packed with LZ4.

Source: Linux's Documentation/arch/x86/boot.rst (payload_offset, payload_length) and LZ4's legacy
frame: a magic number, then blocks, each with its packed size before it.
"""
import ctypes
import mmap
import struct
import sys

MAGIC = b"\x02\x21\x4c\x18"
BLOCK_BYTES = 8 << 20


def payload(image):
    setup_bytes = (image[0x1F1] + 1) * 512
    offset, size = struct.unpack_from("<II", image, 0x248)
    return image[setup_bytes + offset:setup_bytes + offset + size]


def unpack(packed):
    if packed[:4] != MAGIC:
        sys.exit(f"extract_vmlinux: the kernel is not packed with LZ4 (magic {packed[:4].hex()})")
    # In every Debian: dpkg itself is linked with it.
    decompress = ctypes.CDLL("liblz4.so.1").LZ4_decompress_safe
    plain = ctypes.create_string_buffer(BLOCK_BYTES)
    at = 4
    # The last word is the size of the unpacked kernel, put there by the kernel's build.
    while at < len(packed) - 4:
        (size,) = struct.unpack_from("<I", packed, at)
        count = decompress(packed[at + 4:at + 4 + size], plain, size, BLOCK_BYTES)
        if count < 0:
            sys.exit(f"extract_vmlinux: the block at offset {at} of the kernel cannot be unpacked")
        yield plain.raw[:count]
        at += 4 + size


def main():
    with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as image:
            for block in unpack(payload(image)):
                target.write(block)


main()
