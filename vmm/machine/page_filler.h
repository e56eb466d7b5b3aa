// PageFiller: fills the guest's memory as it is touched, from pages that this process can make.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/host/event_fd.h"
#include "devices/host/metrics.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/page_set.h"
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
    // reads `source` from now on, and when that throws it calls `on_loss`. While nobody waits, it
    // reads the pages `ahead` (numbers, within the memory), in that order and one call of `source`
    // at a time, until one of them cannot be had. Throws std::system_error.
    PageFiller(
        const machine::GuestMemory& memory, std::unique_ptr<PageSource> source,
        std::vector<std::uint32_t> ahead = {},
        LossHandler on_loss = [](const std::string& why) { end_without_memory(why); });
    ~PageFiller();
    PageFiller(const PageFiller&) = delete;
    PageFiller& operator=(const PageFiller&) = delete;

    // Pages that come before somebody touches them. Any thread. Throws std::system_error.
    void put(Pages pages) const { faults_.put(pages); }
    // The pages that somebody has waited for until now, in that order; of those that came together,
    // the first. Any thread.
    [[nodiscard]] std::vector<std::uint32_t> wanted() const;
    // Any thread.
    void report(host::MetricSink& sink) const;

private:
    void serve() noexcept;
    void serve_faults();
    void read_ahead();
    [[nodiscard]] Pages read(std::uint64_t offset);

    const Userfaultfd faults_;
    const std::unique_ptr<PageSource> source_;
    const std::vector<std::uint32_t> ahead_;
    const LossHandler on_loss_;
    std::size_t next_ahead_ = 0;  // the thread's
    PageSet read_;                // the thread's: what `source` has given
    mutable std::mutex mutex_;
    std::vector<std::uint32_t> wanted_;
    std::uint64_t reads_ahead_ = 0;
    host::EventFd stop_;
    Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::vmm
