// Random bytes: ChaCha20 in fast key erasure mode, seeded from the CPU, the clock and the VMM, and
// again by the VMM when the microVM was loaded from a snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::guest {

void fill_random(std::span<std::byte> bytes);

// A number below 2^bits, for addresses that nobody shall guess; bits < 64.
[[nodiscard]] inline std::uint64_t random_number(unsigned bits) {
    std::uint64_t number = 0;
    fill_random(std::as_writable_bytes(std::span{&number, 1}));
    return number & ((1ULL << bits) - 1);
}

// Mixes more entropy into the generator's key.
void add_entropy(std::span<const std::byte> bytes);

}  // namespace shoal::guest
