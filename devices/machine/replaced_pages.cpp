// A bit for each page.
#include "devices/machine/replaced_pages.h"

#include <string>
#include <utility>

#include "devices/host/log.h"

namespace shoal::machine {

ReplacedPages::Run ReplacedPages::run_from(std::uint64_t page, std::uint64_t end) const noexcept {
    const bool is_replaced = has(page);
    std::uint64_t at = page + 1;
    while (at < end && has(at) == is_replaced) {
        ++at;
    }
    return {at, is_replaced};
}

void ReplacedPages::replaced(std::uint64_t first, std::uint64_t end) noexcept {
    pieces_ += is_beside(first, end) ? 0U : 1U;
    words_.resize((page_count_ + 63) / 64);
    for (std::uint64_t page = first; page < end; ++page) {
        words_[page / 64] |= std::uint64_t{1} << page % 64;
    }
}

void ReplacedPages::log_limit() noexcept {
    if (!std::exchange(is_limit_logged_, true)) {
        host::log(host::LogLevel::warn,
                  "the guest's memory has been given back in " + std::to_string(max_pieces) +
                      " pieces, the most that there are: what does not touch them stays");
    }
}

}  // namespace shoal::machine
