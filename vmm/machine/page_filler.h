// PageFiller: fills the guest's memory as it is touched, from pages that this process can make.
#pragma once

#include <memory>

#include "devices/host/event_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/page_source.h"
#include "vmm/machine/thread.h"
#include "vmm/machine/userfaultfd.h"

namespace shoal::vmm {

class PageFiller {
public:
    // The memory is private zeros that nobody has touched, and outlives this. From now on a thread
    // of its own reads `source`; when that throws, the process ends (end_without_memory()). Throws
    // std::system_error.
    PageFiller(const machine::GuestMemory& memory, std::unique_ptr<PageSource> source);
    ~PageFiller();
    PageFiller(const PageFiller&) = delete;
    PageFiller& operator=(const PageFiller&) = delete;

private:
    void serve() const noexcept;

    const Userfaultfd faults_;
    const std::unique_ptr<PageSource> source_;
    host::EventFd stop_;
    Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::vmm
