// The generation area: how a guest learns that its microVM was loaded from a snapshot, and which of
// the copies it is. Host and guest share it.
//
// It lies in RAM that the memory map reserves, at abi::generation_area. The VMM writes it before
// the first instruction, and again after every load of a snapshot, before the guest runs on; then
// it raises the interrupt abi::generation_gsi. `id` alone is the VM Generation ID (Microsoft,
// "Virtual Machine Generation ID", 2012), which the ACPI tables announce to Linux.
// A migration counts an arrival and raises the interrupt, nothing else: to its programs a guest
// that moved is the same, but its network has to learn where it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "devices/abi/address_map.h"

namespace shoal::abi {

inline constexpr std::array<char, 8> generation_magic{'S', 'H', 'O', 'A', 'L', 'G', 'E', 'N'};
inline constexpr std::uint32_t generation_version = 1;

struct GenerationHeader {
    std::array<char, 8> magic;
    std::uint32_t version;
    // Bytes of the words that follow the header: NUL-terminated strings, the clone's id first, then
    // its arguments. 0: it is no clone that somebody gave words to.
    std::uint32_t words_bytes;
    std::array<std::uint8_t, 16> id;    // random, another one after every load
    std::array<std::uint8_t, 32> seed;  // random; for the guest alone, which may erase it
};
static_assert(sizeof(GenerationHeader) == 64);

inline constexpr std::uint64_t generation_id =
    generation_area + offsetof(GenerationHeader, id);  // at a multiple of 8, as the ID must be
static_assert(generation_id % 8 == 0);
inline constexpr std::uint64_t generation_words = generation_area + sizeof(GenerationHeader);
// Half of the area's room: what is longer goes over vsock.
inline constexpr std::uint32_t generation_words_max_bytes = 32768;

// Behind the room for the words: what of the kernel's command line is other for this copy (the
// unikernel takes ip= and shoal.ip6=), written at the same times. A guest whose VMM knows nothing
// of it does not find the magic.
inline constexpr std::array<char, 8> generation_boot_args_magic{'S', 'H', 'O', 'A',
                                                                'L', 'A', 'R', 'G'};
struct GenerationBootArgs {
    std::array<char, 8> magic;
    std::uint32_t text_bytes;  // of the text that follows, without a NUL
    std::uint32_t arrivals;    // by migration since the last load; a VMM of old never counts
};
static_assert(sizeof(GenerationBootArgs) == 16);
inline constexpr std::uint64_t generation_boot_args = generation_words + generation_words_max_bytes;
inline constexpr std::uint32_t generation_boot_args_max_bytes = 2048;
inline constexpr std::uint64_t generation_text = generation_boot_args + sizeof(GenerationBootArgs);
static_assert(generation_text + generation_boot_args_max_bytes <= acpi_tables_end);

}  // namespace shoal::abi
