// PageScan: the pages of one round as frames.
//
// The guest may write while they are read: the pages come from a log that was taken before, so such
// a page is in the next answer of the log and crosses again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmm/migration/frame.h"

namespace shoal::migration {

class PageScan {
public:
    // Borrows both. `memory` is as GuestMemory::bytes(); page 64 * n + b of it is bit b of word n
    // of `pages`, which has no bit behind the last page.
    PageScan(std::span<const std::byte> memory, std::span<std::uint64_t> pages);

    // Takes neighbouring pages from the set, at most max_run_pages of them, all zeros or none.
    // Nothing: the set is empty.
    [[nodiscard]] std::optional<Frame> next();

private:
    [[nodiscard]] bool is_wanted(std::uint64_t page) const noexcept;
    [[nodiscard]] std::span<const std::byte> bytes_of(std::uint64_t page) const noexcept;
    // From next_ on.
    [[nodiscard]] std::optional<std::uint64_t> find_wanted() noexcept;
    void take(std::uint64_t page) noexcept;

    std::span<const std::byte> memory_;
    std::span<std::uint64_t> pages_;
    std::uint64_t next_ = 0;
};

}  // namespace shoal::migration
