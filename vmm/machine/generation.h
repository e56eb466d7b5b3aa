// The guest's generation area (devices/abi/generation.h): written before the first instruction, and
// after every load of a snapshot.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "devices/machine/guest_memory.h"

namespace shoal::vmm {

// What tells one copy of a microVM from the others. No NUL in any of them.
struct CloneWords {
    std::string id;
    std::vector<std::string> args;
    std::string boot_args{};  // words of the kernel's command line that are other for it
};

// For a guest that is about to start. Throws std::system_error when the host has no random bytes.
void write_generation(const machine::GuestMemory& memory);

// For a guest that was loaded: another id, another seed, and the clone's words if there are any.
// The guest finds out by the interrupt, which is raised by others. A guest of a VMM that had no
// generation area is left alone. Throws with one sentence, and changes nothing, when it was to get
// words and cannot, or they are too long.
void renew_generation(const machine::GuestMemory& memory, const std::optional<CloneWords>& clone);

// For a guest that has come over a wire and is about to run here: one arrival more. The interrupt
// is raised by others. A guest without a generation area is left alone.
void count_arrival(const machine::GuestMemory& memory);

}  // namespace shoal::vmm
