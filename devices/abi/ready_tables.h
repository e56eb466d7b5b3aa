// Ready page tables: leaf tables that the monitor fills before the start, for files that it laid
// into the initrd. The unikernel links one where it would have to write 512 entries.
//
// The kernel's ELF file has a note of owner "Shoal" that says where they may lie. Each file that
// has some starts at a page number of its own, counted from the first table's first entry, with a
// page of its own; what follows in the address space follows in the tables.
#pragma once

#include <cstdint>

namespace shoal::abi::ready_tables {

inline constexpr std::uint32_t note_type = 2;

// The note's value.
struct Note {
    std::uint64_t start;       // physical address of the first table, a page
    std::uint64_t most_bytes;  // of all tables
    std::uint64_t end_at;      // where the kernel finds the physical address of their end, 64 bits
};
// Their end is a multiple of this.
inline constexpr std::uint64_t granule_bytes = 0x10000;

inline constexpr std::uint64_t entries_per_table = 512;

// Entries (Intel SDM 3A, 4.5): present, user, accessed and dirty.
inline constexpr std::uint64_t entry_read = 0x65;
inline constexpr std::uint64_t entry_write = 0x2;
inline constexpr std::uint64_t entry_no_execute = 1ULL << 63;
// Bits that the CPU ignores. The page is the first program's that maps the file, and free after it.
inline constexpr std::uint64_t entry_owned = 1ULL << 9;
// Of an owned page: how many pages further from the file's first one it lies than in the file.
inline constexpr unsigned shift_bit = 52;
inline constexpr std::uint64_t shift_max = 127;
// The first page of a file.
inline constexpr std::uint64_t entry_file_start = 1ULL << 10;

}  // namespace shoal::abi::ready_tables
