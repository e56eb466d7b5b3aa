// Boost.Asio's clock, queue and timers.
#include "controlplane/store/asio_loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "devices/host/clock.h"

namespace shoal::store {

EventLoop::Duration AsioLoop::now() const {
    return Duration{host::clock_ns(CLOCK_BOOTTIME)};
}

void AsioLoop::post(Task task) {
    boost::asio::post(context_, std::move(task));
}

void AsioLoop::call_after(Duration delay, Task task) {
    auto timer = std::make_unique<boost::asio::steady_timer>(context_, delay);
    auto& waiting = *timer;
    waiting.async_wait([timer = std::move(timer),
                        task = std::move(task)](const boost::system::error_code& error) mutable {
        if (!error) {
            task();
        }
    });
}

}  // namespace shoal::store
