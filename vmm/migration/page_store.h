// PageStore: runs of pages into the memory of a guest that does not run yet.
#pragma once

#include <cstdint>

#include "devices/machine/guest_memory.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {

class PageStore {
public:
    // Borrows it.
    explicit PageStore(const machine::GuestMemory& memory) noexcept : memory_{memory} {}

    [[nodiscard]] std::uint64_t page_count() const noexcept {
        return memory_.size_bytes() / page_bytes;
    }
    // The run lies within the memory, as read_page_run() checks. False: the host did not take pages
    // of zeros back.
    [[nodiscard]] bool put(const PageRun& run) const noexcept;

private:
    const machine::GuestMemory& memory_;
};

}  // namespace shoal::migration
