// The thread that waits for faults.
#include "vmm/machine/page_filler.h"

#include <poll.h>

#include <array>
#include <exception>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/host/log.h"

namespace shoal::vmm {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;

}  // namespace

PageFiller::PageFiller(const machine::GuestMemory& memory, std::unique_ptr<PageSource> source,
                       std::vector<std::uint32_t> ahead, LossHandler on_loss)
    : faults_{memory},
      source_{std::move(source)},
      ahead_{std::move(ahead)},
      on_loss_{std::move(on_loss)},
      read_{empty_set(memory.size_bytes())},
      thread_{"faults", stack_bytes, [this] { serve(); }} {}

PageFiller::~PageFiller() {
    stop_.signal();
}

// Never touches the guest's memory: it would wait for itself.
void PageFiller::serve() noexcept {
    try {
        std::array<pollfd, 2> watched{{{faults_.fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}}};
        while (watched[1].revents == 0) {
            const int timeout_ms = next_ahead_ < ahead_.size() ? 0 : -1;
            if (::poll(watched.data(), watched.size(), timeout_ms) < 0) {
                continue;
            }
            serve_faults();
            read_ahead();
        }
    } catch (const std::exception& error) {
        on_loss_(error.what());
    }
}

void PageFiller::serve_faults() {
    while (const auto offset = faults_.next_fault()) {
        const Pages pages = read(*offset);
        faults_.put(pages);
        const std::scoped_lock lock{mutex_};
        wanted_.push_back(static_cast<std::uint32_t>(pages.offset / abi::page_size));
    }
}

// The next that is not there. One that cannot be had may be one that nobody will want.
void PageFiller::read_ahead() {
    while (next_ahead_ < ahead_.size()) {
        const std::uint64_t page = ahead_[next_ahead_++];
        if ((read_[page / pages_per_word] >> page % pages_per_word & 1) != 0) {
            continue;
        }
        Pages pages;
        try {
            pages = read(page * abi::page_size);
        } catch (const std::exception& error) {
            next_ahead_ = ahead_.size();
            host::log(host::LogLevel::warn,
                      "Nothing more is read ahead: " + std::string{error.what()});
            return;
        }
        faults_.put(pages);
        const std::scoped_lock lock{mutex_};
        ++reads_ahead_;
        return;
    }
}

Pages PageFiller::read(std::uint64_t offset) {
    const Pages pages = source_->read(offset);
    const std::uint64_t first = pages.offset / abi::page_size;
    add_range(read_, {first, first + pages.bytes.size() / abi::page_size});
    return pages;
}

std::vector<std::uint32_t> PageFiller::wanted() const {
    const std::scoped_lock lock{mutex_};
    return wanted_;
}

void PageFiller::report(host::MetricSink& sink) const {
    const std::scoped_lock lock{mutex_};
    sink.counter("fault_count", wanted_.size());
    sink.counter("read_ahead_count", reads_ahead_);
}

}  // namespace shoal::vmm
