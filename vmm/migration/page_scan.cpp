// Runs of wanted pages, and which of them are zeros.
#include "vmm/migration/page_scan.h"

#include <bit>

#include "devices/host/check.h"
#include "vmm/machine/zero_page.h"

namespace shoal::migration {
namespace {

static_assert(pages_per_word <= max_run_pages);

// How many of the first pages are alike: all zeros or none.
std::uint64_t count_alike(std::span<const std::byte> pages, bool zeros) noexcept {
    std::uint64_t count = 1;
    while (count < pages.size() / page_bytes &&
           vmm::is_zero(pages.subspan(count * page_bytes, page_bytes)) == zeros) {
        ++count;
    }
    return count;
}

}  // namespace

PageScan::PageScan(const PageContent& content, std::span<std::uint64_t> pages, Stripe stripe)
    : content_{content},
      pages_{pages},
      stripe_{stripe},
      word_{stripe.idx},
      buffer_{std::make_unique_for_overwrite<Buffer>()} {
    const std::uint64_t in_last_word = content.page_count() % pages_per_word;
    SHOAL_CHECK(pages.size() == (content.page_count() + pages_per_word - 1) / pages_per_word);
    SHOAL_CHECK(in_last_word == 0 || pages.back() >> in_last_word == 0);
}

std::optional<PageRun> PageScan::next() {
    while (word_ < pages_.size() && pages_[word_] == 0) {
        word_ += stripe_.count;
    }
    if (word_ >= pages_.size()) {
        return std::nullopt;
    }
    std::uint64_t& word = pages_[word_];
    const int first_bit = std::countr_zero(word);
    const std::uint64_t first = word_ * pages_per_word + static_cast<std::uint64_t>(first_bit);
    const auto wanted = static_cast<std::uint64_t>(std::countr_one(word >> first_bit));
    const auto bytes = content_.read(first, wanted, buffer_->bytes);
    const bool zeros = vmm::is_zero(bytes.first(page_bytes));
    const std::uint64_t count = count_alike(bytes, zeros);
    word &= ~(~std::uint64_t{0} >> (pages_per_word - count) << first_bit);
    return PageRun{first, count,
                   zeros ? std::span<const std::byte>{} : bytes.first(count * page_bytes),
                   content_.drive()};
}

}  // namespace shoal::migration
