// VcpuThrottle: lets vCPUs run only a part of the time, so that a guest writes no faster than its
// memory can be copied.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "vmm/machine/vcpu_thread.h"

namespace shoal::vmm {

// On the event loop's thread.
class VcpuThrottle {
public:
    // Borrows both.
    VcpuThrottle(boost::asio::io_context& loop,
                 const std::vector<std::unique_ptr<VcpuThread>>& vcpus)
        : timer_{loop}, vcpus_{vcpus} {}

    // How much of each 10 ms the vCPUs stand still: 0 to 99 percent. They run when it is called,
    // and once it was called with 0.
    void set(unsigned percent);

private:
    void run();
    void stand();
    void after(std::chrono::microseconds delay, void (VcpuThrottle::*next)());

    boost::asio::steady_timer timer_;
    const std::vector<std::unique_ptr<VcpuThread>>& vcpus_;
    unsigned percent_ = 0;
    bool is_standing_ = false;
};

}  // namespace shoal::vmm
