// Pages that a balloon's driver gives up: checked, put together to runs, returned to the host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devices/machine/guest_memory.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// What became of one chain.
struct DiscardResult {
    std::uint64_t discarded_bytes = 0;
    std::uint64_t fails = 0;  // pages or buffers that are no memory, or that the host kept
};

// Drivers send one page of page frame numbers at most; a longer chain is not looked at beyond that.
inline constexpr std::size_t max_pfns_per_chain = 1024;

// The chain's readable bytes are page frame numbers (5.5.6).
[[nodiscard]] DiscardResult discard_pfns(const machine::GuestMemory& memory, const Chain& chain,
                                         Allowance& allowance) noexcept;

// How far the buffers of one chain are discarded.
struct DiscardProgress {
    std::size_t idx = 0;       // of the first buffer that is not
    std::uint64_t offset = 0;  // in it
    DiscardResult result;      // so far

    [[nodiscard]] bool is_at_start() const noexcept { return idx == 0 && offset == 0; }
};

// The chain's writable buffers are themselves the pages (5.5.6.6, 5.5.6.7). Goes on from where
// `progress` is, as far as the allowance reaches. True: all of them are done. The driver may have
// changed the chain in between.
[[nodiscard]] bool discard_buffers(const machine::GuestMemory& memory, const Chain& chain,
                                   DiscardProgress& progress, Allowance& allowance) noexcept;

}  // namespace shoal::virtio
