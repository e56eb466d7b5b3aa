// What each kind of thread may ask of the kernel; README.md says why.
#pragma once

#include <linux/filter.h>

#include <span>

namespace shoal::jail {

enum class Role {
    vcpu,     // a vCPU's thread, and the devices that it serves itself
    direct,   // the main thread of a microVM that the command line describes, once it is built
    service,  // the main thread that serves the API, and all that it starts
};

[[nodiscard]] std::span<const sock_filter> filter_of(Role role) noexcept;

}  // namespace shoal::jail
