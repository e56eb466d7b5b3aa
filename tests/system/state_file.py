"""State files (vmm/state/section.h) taken apart and put together again, their checksums mended."""
import struct

SECTION = struct.Struct("<16sIHHI")
CPUID_ENTRY = struct.Struct("<10I")  # function, index, flags, EAX to EDX, padding


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def take_apart(file):
    """The sections as [(name, instance, version, required, payload)]."""
    count, = struct.unpack_from("<I", file, 12)
    at, sections = 28, []
    for _ in range(count):
        name, instance, version, required, size = SECTION.unpack_from(file, at)
        at += SECTION.size + 4
        sections.append((name.rstrip(b"\0").decode(), instance, version, required, file[at:at + size]))
        at += size
    return sections


def put_together(sections):
    body = b""
    for name, instance, version, required, payload in sections:
        head = SECTION.pack(name.encode(), instance, version, required, len(payload))
        body += head + struct.pack("<I", crc32c(head + payload)) + payload
    head = b"SHOALST\n" + struct.pack("<IIQ", 1, len(sections), 28 + len(body))
    return head + struct.pack("<I", crc32c(head)) + body


def with_cpuid_bit(file, function, word, bit):
    """The state, or the hello of a migration, of a guest whose CPU has one feature more. `word`: 0 is EAX, 3 is EDX."""
    sections = take_apart(file)
    for idx, (name, *head, payload) in enumerate(sections):
        if name not in ("vcpu", "cpu"):
            continue
        changed = bytearray(payload)
        for entry in range(struct.unpack_from("<I", changed)[0]):
            at = 4 + entry * CPUID_ENTRY.size
            if struct.unpack_from("<I", changed, at)[0] == function:
                place = at + 4 * (3 + word)
                struct.pack_into("<I", changed, place, struct.unpack_from("<I", changed, place)[0] | 1 << bit)
        sections[idx] = (name, *head, bytes(changed))
    return put_together(sections)
