// Adds a descriptor to the reactor after set-up, when the host's refusal is no reason to end.
#pragma once

#include <cstdint>
#include <system_error>

#include "devices/host/reactor.h"

namespace shoal::backend {

// False: the host has no memory for it, or its limit of watches is reached.
[[nodiscard]] inline bool watch(host::Reactor& reactor, int fd, std::uint32_t events,
                                host::EventHandler& handler) noexcept {
    try {
        reactor.add(fd, events, handler);
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

}  // namespace shoal::backend
