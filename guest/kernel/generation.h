// The microVM's generation: whether it was loaded from a snapshot, and what it was told then
// (devices/abi/generation.h).
#pragma once

#include <cstdint>

#include "guest/kernel/fs/clone_file.h"

namespace shoal::guest {

// Before the first random byte. nullptr under a VMM that has no generation area.
[[nodiscard]] CloneSource* start_generation();

// Whether the microVM was loaded since the last call of note_load(); a look at memory, no exit.
[[nodiscard]] bool was_loaded();
// The random generator gets the load's seed, and who waits for a load is woken. The generator
// itself asks before it gives a byte: no two copies give the same ones.
void note_load();

}  // namespace shoal::guest
