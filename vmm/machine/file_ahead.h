// FileAhead: has the kernel read pages of the guest's memory file before the guest touches them.
//
// The guest runs meanwhile. What is in the page cache already costs a look at it; what is not comes
// in large reads, one behind the other, instead of one for each of the guest's faults.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/host/metrics.h"
#include "vmm/machine/page_set.h"
#include "vmm/machine/thread.h"

namespace shoal::vmm {

class FileAhead {
public:
    // A thread of its own asks for these pages of the file. The descriptor is borrowed. A page that
    // cannot be read is found by who touches it. Throws std::system_error.
    FileAhead(int fd, std::span<const std::uint32_t> pages);
    ~FileAhead() { is_stopped_ = true; }
    FileAhead(const FileAhead&) = delete;
    FileAhead& operator=(const FileAhead&) = delete;

    // Any thread.
    void report(host::MetricSink& sink) const { sink.counter("page_count", page_count_); }

private:
    void read(int fd, std::span<const PageRange> ranges) noexcept;

    std::atomic<bool> is_stopped_ = false;
    std::atomic<std::uint64_t> page_count_ = 0;  // asked for
    Thread thread_;                              // last: joined before what it uses goes
};

// What is read for these pages: neighbours together, and few pages between two of them as well.
[[nodiscard]] std::vector<PageRange> ranges_to_read(std::span<const std::uint32_t> pages);

}  // namespace shoal::vmm
