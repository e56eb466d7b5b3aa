// PageScan: the pages of one round as frames.
//
// The guest may write while they are read: the pages come from a log that was taken before, so such
// a page is in the next answer of the log and crosses again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "vmm/migration/page_content.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {

// Which words of a set: each count'th, from the idx'th on.
struct Stripe {
    std::size_t idx = 0;
    std::size_t count = 1;
};

class PageScan {
public:
    // Borrows both; of `pages` it touches only its stripe. Page 64 * n + b is bit b of word n of
    // `pages`, which has no bit behind the last page.
    PageScan(const PageContent& content, std::span<std::uint64_t> pages, Stripe stripe = {});

    // Takes neighbouring pages of one word from the set, all zeros or none. Nothing: the set is
    // empty. Valid until the next call. Throws as PageContent::read(); then nothing was taken.
    [[nodiscard]] std::optional<PageRun> next();

private:
    struct alignas(page_bytes) Buffer {
        std::array<std::byte, max_run_pages * page_bytes> bytes;
    };

    const PageContent& content_;
    std::span<std::uint64_t> pages_;
    Stripe stripe_;
    std::uint64_t word_;
    std::unique_ptr<Buffer> buffer_;
};

}  // namespace shoal::migration
