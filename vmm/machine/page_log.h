// PageLog: which pages of its memory a microVM has written to, vCPUs and devices alike.
#pragma once

#include <cstdint>
#include <span>

namespace shoal::vmm {

// Logs while it lives; it goes before the microVM does.
class PageLog {
public:
    virtual ~PageLog() = default;
    // Adds the pages that were written to since the last call: page 64 * n + b of the memory file
    // is bit b of word n. The bitmap has a bit for every page, rounded up to whole words. Any one
    // thread; the microVM may run. What it writes meanwhile is in this answer or in the next.
    // Throws std::system_error for a broken KVM.
    virtual void take(std::span<std::uint64_t> bitmap) = 0;
};

}  // namespace shoal::vmm
