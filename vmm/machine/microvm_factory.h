// The real microVM, as the API drives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "devices/host/deadline_file.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/microvm.h"

namespace shoal::vmm {

// Whether the guest has a boot timer, which makes the log say how long it took to boot.
enum class BootTimerLog { off, on };

// A VM that is made before it is known which microVM it will be: the one that is loaded or started
// takes it when it is of this shape.
struct WarmShape {
    std::uint8_t vcpu_count = 1;
    std::uint64_t mem_size_mib = 128;
};

// What a microVM needs of its process.
struct MicrovmSurroundings {
    EventLoop& loop;  // the microVM's devices run on it; it is stopped when the microVM has ended
    BootTimerLog boot_timer = BootTimerLog::off;
    // Gets a byte whenever the guest says that it waits to be copied; -1: nobody listens. Borrowed.
    int ready_fd = -1;
    // Once it has passed, the guest stands still. Borrowed; null: none.
    const host::DeadlineFile* fence = nullptr;
    std::optional<WarmShape> warm{};
    std::function<void()> on_vcpu_thread{};  // see MachineConfig
};

// Nothing is opened yet, and no guest memory taken: the process waits to be told what to become.
[[nodiscard]] std::unique_ptr<Microvm> make_microvm(const MicrovmSurroundings& surroundings);

}  // namespace shoal::vmm
