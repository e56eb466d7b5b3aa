// Random bytes: ChaCha20 in fast key erasure mode, seeded once from the CPU and the clock.
#pragma once

#include <cstddef>
#include <span>

namespace shoal::guest {

void fill_random(std::span<std::byte> bytes);

// Mixes more entropy into the generator's key.
void add_entropy(std::span<const std::byte> bytes);

}  // namespace shoal::guest
