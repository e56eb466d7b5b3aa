// The microVM's generation: whether it was loaded from a snapshot, and what it was told then
// (devices/abi/generation.h).
#pragma once

#include <cstdint>
#include <span>

#include "guest/kernel/fs/clone_file.h"

namespace shoal::guest {

// Before the first random byte. nullptr under a VMM that has no generation area.
[[nodiscard]] CloneSource* start_generation();

// Has the load's interrupt wake the CPU, so that event sources are asked then.
void expect_loads();

// Whether the microVM was loaded since the last call of note_load(); a look at memory, no exit.
[[nodiscard]] bool was_loaded();
// The random generator gets the load's seed, and who waits for a load is woken. The generator
// itself asks before it gives a byte: no two copies give the same ones.
void note_load();

// How often the microVM has arrived by a migration since it was loaded; a look at memory, no exit.
[[nodiscard]] std::uint32_t arrival_count();

// How often load was noted, and of the last one the words of the command line that are others
// since.
[[nodiscard]] std::uint64_t load_count();
[[nodiscard]] std::span<const char> loaded_boot_args();

}  // namespace shoal::guest
