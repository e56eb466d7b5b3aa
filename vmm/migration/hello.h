// Hello: what a destination has to know to build the machine before the source stops: the
// microVM's configuration, as a state file with that one section (vmm/state/section.h).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "vmm/machine/config.h"

namespace shoal::migration {

// 19 devices with paths of 4 KiB, and a command line.
inline constexpr std::size_t max_hello_bytes = 256 << 10;

// Throws std::runtime_error for a configuration that is larger, which no API can have made.
[[nodiscard]] std::vector<std::byte> encode_hello(const vmm::MicrovmConfig& config);
// Throws state::StateError, also for a configuration that no API can have made.
[[nodiscard]] vmm::MicrovmConfig decode_hello(std::span<const std::byte> payload);

}  // namespace shoal::migration
