// The thread that waits for faults.
#include "vmm/machine/page_filler.h"

#include <poll.h>

#include <array>
#include <exception>
#include <utility>

namespace shoal::vmm {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;

}  // namespace

PageFiller::PageFiller(const machine::GuestMemory& memory, std::unique_ptr<PageSource> source,
                       LossHandler on_loss)
    : faults_{memory},
      source_{std::move(source)},
      on_loss_{std::move(on_loss)},
      thread_{"faults", stack_bytes, [this] { serve(); }} {}

PageFiller::~PageFiller() {
    stop_.signal();
}

// Never touches the guest's memory: it would wait for itself.
void PageFiller::serve() const noexcept {
    try {
        std::array<pollfd, 2> watched{{{faults_.fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}}};
        while (watched[1].revents == 0) {
            if (::poll(watched.data(), watched.size(), -1) < 0) {
                continue;
            }
            while (const auto offset = faults_.next_fault()) {
                faults_.put(source_->read(*offset));
            }
        }
    } catch (const std::exception& error) {
        on_loss_(error.what());
    }
}

}  // namespace shoal::vmm
