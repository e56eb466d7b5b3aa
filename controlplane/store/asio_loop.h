// AsioLoop: the event loop of a real process.
#pragma once

#include <boost/asio/io_context.hpp>

#include "controlplane/store/event_loop.h"

namespace shoal::store {

class AsioLoop final : public EventLoop {
public:
    // Borrows the context.
    explicit AsioLoop(boost::asio::io_context& context) : context_{context} {}

    // CLOCK_BOOTTIME, which also counts while the host sleeps.
    [[nodiscard]] Duration now() const override;
    void post(Task task) override;
    void call_after(Duration delay, Task task) override;

private:
    boost::asio::io_context& context_;
};

}  // namespace shoal::store
