// Runs of wanted pages, and which of them are zeros.
#include "vmm/migration/page_scan.h"

#include <bit>
#include <cstring>

#include "devices/host/check.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::uint64_t pages_per_word = 64;

// A first byte of zero, and each byte like the one before it.
bool is_zero(std::span<const std::byte> page) noexcept {
    return page.front() == std::byte{0} &&
           std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace

PageScan::PageScan(std::span<const std::byte> memory, std::span<std::uint64_t> pages)
    : memory_{memory}, pages_{pages} {
    const std::uint64_t page_count = memory.size() / page_bytes;
    const std::uint64_t in_last_word = page_count % pages_per_word;
    SHOAL_CHECK(pages.size() == (page_count + pages_per_word - 1) / pages_per_word);
    SHOAL_CHECK(in_last_word == 0 || pages.back() >> in_last_word == 0);
}

std::optional<Frame> PageScan::next() {
    const auto first = find_wanted();
    if (!first) {
        return std::nullopt;
    }
    const bool zeros = is_zero(bytes_of(*first));
    next_ = *first;
    do {
        take(next_++);
    } while (next_ - *first < max_run_pages && is_wanted(next_) &&
             is_zero(bytes_of(next_)) == zeros);
    const std::uint64_t count = next_ - *first;
    return zeros ? zero_pages_frame(*first, count)
                 : pages_frame(*first, memory_.subspan(*first * page_bytes, count * page_bytes));
}

bool PageScan::is_wanted(std::uint64_t page) const noexcept {
    const std::uint64_t word = page / pages_per_word;
    return word < pages_.size() && (pages_[word] >> page % pages_per_word & 1) != 0;
}

std::span<const std::byte> PageScan::bytes_of(std::uint64_t page) const noexcept {
    return memory_.subspan(page * page_bytes, page_bytes);
}

// Pages before next_ are no longer in the set.
std::optional<std::uint64_t> PageScan::find_wanted() noexcept {
    for (std::uint64_t word = next_ / pages_per_word; word < pages_.size(); ++word) {
        if (pages_[word] != 0) {
            return word * pages_per_word +
                   static_cast<std::uint64_t>(std::countr_zero(pages_[word]));
        }
    }
    return std::nullopt;
}

void PageScan::take(std::uint64_t page) noexcept {
    pages_[page / pages_per_word] &= ~(std::uint64_t{1} << page % pages_per_word);
}

}  // namespace shoal::migration
