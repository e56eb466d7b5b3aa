// PageFiller: fills the guest's memory as it is touched, from pages that this process can make.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "devices/host/event_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/page_source.h"
#include "vmm/machine/thread.h"
#include "vmm/machine/userfaultfd.h"

namespace shoal::vmm {

class PageFiller {
public:
    // Gets a sentence, on the thread. When it returns, nothing is read any more, and whoever waits
    // goes on waiting until this is gone.
    using LossHandler = std::function<void(const std::string&)>;

    // The memory outlives this. Pages that it has already stay; for others a thread of its own
    // reads `source` from now on, and when that throws it calls `on_loss`. Throws
    // std::system_error.
    PageFiller(
        const machine::GuestMemory& memory, std::unique_ptr<PageSource> source,
        LossHandler on_loss = [](const std::string& why) { end_without_memory(why); });
    ~PageFiller();
    PageFiller(const PageFiller&) = delete;
    PageFiller& operator=(const PageFiller&) = delete;

    // Pages that come before somebody touches them. Any thread. Throws std::system_error.
    void put(Pages pages) const { faults_.put(pages); }

private:
    void serve() const noexcept;

    const Userfaultfd faults_;
    const std::unique_ptr<PageSource> source_;
    const LossHandler on_loss_;
    host::EventFd stop_;
    Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::vmm
