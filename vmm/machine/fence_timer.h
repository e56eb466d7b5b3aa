// FenceTimer: tells when a deadline passes, and when it is moved on after that. A guest that has
// one stands still while it has passed, so that it can run elsewhere (controlplane/failover).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "devices/host/deadline_file.h"

namespace shoal::vmm {

// On the event loop's thread.
class FenceTimer {
public:
    // Borrows both. `look` is called once the deadline has passed, then every 50 ms until it lies
    // ahead again, and once then.
    FenceTimer(boost::asio::io_context& context, const host::DeadlineFile& fence,
               std::function<void()> look);
    FenceTimer(const FenceTimer&) = delete;
    FenceTimer& operator=(const FenceTimer&) = delete;
    ~FenceTimer() = default;

private:
    void arm();
    void wait();

    const host::DeadlineFile& fence_;
    std::function<void()> look_;
    boost::asio::posix::stream_descriptor timer_;
};

}  // namespace shoal::vmm
