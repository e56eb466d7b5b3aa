// The two ways in which a page comes.
#include "vmm/migration/missing_pages.h"

#include <array>
#include <stdexcept>
#include <utility>

namespace shoal::migration {
namespace {

constexpr std::array<std::byte, page_bytes> zeros{};

}  // namespace

// What the guest waits for.
class MissingPages::Wanted final : public vmm::PageSource {
public:
    Wanted(MissingPages& missing, std::uint64_t page_count, Channel channel)
        : missing_{missing}, counts_{page_count, {}}, channel_{std::move(channel)} {}

    vmm::Pages read(std::uint64_t offset) override {
        const auto pages = missing_.take_around(offset / page_bytes);
        if (!pages) {
            return {offset, zeros};
        }
        return {pages->first * page_bytes, fetch(*pages)};
    }

private:
    std::span<const std::byte> fetch(vmm::PageRange pages) {
        if (const auto why = channel_.send(frame_of_want(pages))) {
            throw std::runtime_error(*why);
        }
        if (const auto why = channel_.receive(frame_)) {
            throw std::runtime_error(*why);
        }
        const auto run = read_page_run(frame_, counts_);
        if (!run || run->drive || run->bytes.empty() || run->first_page != pages.first ||
            run->page_count != pages.end - pages.first) {
            throw std::runtime_error("the source sent other pages than were wanted");
        }
        return run->bytes;
    }

    MissingPages& missing_;
    const PageCounts counts_;
    Channel channel_;
    Frame frame_;
};

MissingPages::MissingPages(const machine::GuestMemory& memory, PageSet pages, Channel wants,
                           vmm::PageFiller::LossHandler on_loss)
    : pages_{std::move(pages)},
      filler_{memory,
              std::make_unique<Wanted>(*this, memory.size_bytes() / page_bytes, std::move(wants)),
              {},
              std::move(on_loss)} {}

void MissingPages::put(const PageRun& run) {
    const std::scoped_lock lock{mutex_};
    for (std::uint64_t idx = 0; idx < run.page_count; ++idx) {
        const std::uint64_t page = run.first_page + idx;
        if (take(page)) {
            filler_.put({page * page_bytes, run.bytes.empty()
                                                ? std::span<const std::byte>{zeros}
                                                : run.bytes.subspan(idx * page_bytes, page_bytes)});
        }
    }
}

std::optional<vmm::PageRange> MissingPages::take_around(std::uint64_t page) {
    const std::scoped_lock lock{mutex_};
    if (!take(page)) {
        return std::nullopt;
    }
    const std::uint64_t block = page / max_want_pages * max_want_pages;
    vmm::PageRange pages{page, page + 1};
    while (pages.first > block && take(pages.first - 1)) {
        --pages.first;
    }
    while (pages.end < block + max_want_pages && take(pages.end)) {
        ++pages.end;
    }
    return pages;
}

bool MissingPages::take(std::uint64_t page) {
    std::uint64_t& word = pages_[page / vmm::pages_per_word];
    const std::uint64_t bit = std::uint64_t{1} << page % vmm::pages_per_word;
    return (std::exchange(word, word & ~bit) & bit) != 0;
}

std::uint64_t MissingPages::count() const {
    const std::scoped_lock lock{mutex_};
    return count_pages(pages_);
}

}  // namespace shoal::migration
