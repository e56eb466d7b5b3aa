// Hello: what a destination has to know to build the machine before the source stops, as a state
// file (vmm/state/section.h): the microVM's configuration, which drives are copied, over how many
// connections, and what the guest believes its CPU to be.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vmm/machine/machine_state.h"

namespace shoal::migration {

// 19 devices with paths of 4 KiB, and a command line.
inline constexpr std::size_t max_hello_bytes = 256 << 10;
// Of a drive that is copied: 1 TiB, whose sets of pages take 32 MiB each.
inline constexpr std::uint64_t max_drive_bytes = std::uint64_t{1} << 40;

struct CopiedDrive {
    std::string drive_id;
    std::uint64_t size_bytes = 0;
};

inline constexpr std::uint32_t max_connections = 8;

// What a further connection of the same migration shows. Without TLS whoever sees the hello sees
// it, too: it keeps strangers apart, no more.
using JoinToken = std::array<std::byte, 16>;

struct FurtherConnections {
    std::uint32_t count = 0;  // besides that of the hello
    JoinToken token{};
};

struct Hello {
    vmm::MicrovmConfig config;
    std::vector<CopiedDrive> drives = {};
    FurtherConnections further = {};
    // The guest runs at the destination before all of its memory is there; the one further
    // connection is for the pages that it waits for.
    bool is_post_copy = false;
    kvm::CpuModel cpu = {};  // empty: the source is of before hellos had it
};

// Throws std::runtime_error for one that is larger, which no API can have made.
[[nodiscard]] std::vector<std::byte> encode_hello(const Hello& hello);
// Throws state::StateError, also for what no API can have made.
[[nodiscard]] Hello decode_hello(std::span<const std::byte> payload);

}  // namespace shoal::migration
