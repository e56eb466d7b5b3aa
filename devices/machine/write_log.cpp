// A bit for each page.
#include "devices/machine/write_log.h"

#include "devices/abi/address_map.h"
#include "devices/host/check.h"

namespace shoal::machine {
namespace {

constexpr std::uint64_t pages_per_word = 64;
constexpr std::uint64_t bytes_per_word = pages_per_word * abi::page_size;

}  // namespace

WriteLog::WriteLog(std::uint64_t size_bytes)
    : word_count_{(size_bytes + bytes_per_word - 1) / bytes_per_word},
      words_{std::make_unique<std::atomic<std::uint64_t>[]>(word_count_)} {}

void WriteLog::start() noexcept {
    for (std::size_t idx = 0; idx < word_count_; ++idx) {
        words_[idx].store(0, std::memory_order_relaxed);
    }
    is_on_.store(true, std::memory_order_seq_cst);
}

// Pairs with take(): whoever finds the bit finds the bytes.
void WriteLog::add(std::uint64_t offset, std::uint64_t size_bytes) noexcept {
    if (size_bytes == 0) {
        return;
    }
    const std::uint64_t last = (offset + size_bytes - 1) / abi::page_size;
    SHOAL_CHECK(last / pages_per_word < word_count_);
    for (std::uint64_t page = offset / abi::page_size; page <= last; ++page) {
        words_[page / pages_per_word].fetch_or(std::uint64_t{1} << page % pages_per_word,
                                               std::memory_order_release);
    }
}

void WriteLog::take(std::span<std::uint64_t> bitmap) noexcept {
    SHOAL_CHECK(bitmap.size() == word_count_);
    for (std::size_t idx = 0; idx < word_count_; ++idx) {
        if (words_[idx].load(std::memory_order_relaxed) != 0) {
            bitmap[idx] |= words_[idx].exchange(0, std::memory_order_acquire);
        }
    }
}

}  // namespace shoal::machine
