// EventLoop: the main thread's wait for everything that is not a vCPU: device queues, streams, the
// API, the end. Boost.Asio's io_context; devices watch their descriptors with a host::Reactor,
// which the loop dispatches. Streams have an epoll set of their own, because their descriptors are
// borrowed and Asio would switch them to non-blocking mode for everybody who shares them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <list>
#include <vector>

#include "devices/backend/stream.h"
#include "devices/host/event_fd.h"
#include "devices/host/reactor.h"
#include "devices/host/unique_fd.h"

namespace shoal::vmm {

class EventLoop {
public:
    EventLoop();

    // For the devices' descriptors.
    [[nodiscard]] host::Reactor& reactor() noexcept { return reactor_; }
    // For the API.
    [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }

    // Between the two neither reactor nor streams are served. Idempotent.
    void pause_devices() noexcept { devices_paused_ = true; }
    void resume_devices();

    // Calls `handler` on the loop's thread whenever `event` is signalled. Borrows `event`.
    void on_event(const host::EventFd& event, std::function<void()> handler);
    void on_signals(std::initializer_list<int> numbers, std::function<void(int)> handler);
    // They have their default effect again.
    void forget_signals() noexcept;
    void after(std::chrono::nanoseconds delay, std::function<void()> handler);

    // Serves the client's streams. Borrows it. wake() is what the client signals when it wants
    // something else than when it was last asked.
    void add_stream(backend::StreamClient& client);
    [[nodiscard]] const host::EventFd& wake() const noexcept { return wake_; }

    // Until stop(), also if that was called before.
    void run();
    void stop() noexcept { context_.stop(); }

private:
    struct Stream {
        backend::StreamClient* client;
        // Regular files are always ready and cannot be waited for.
        bool input_always_ready = false;
        bool output_always_ready = false;
    };

    void wait_for_reactor();
    void wait_for(boost::asio::posix::stream_descriptor& descriptor, std::function<void()> handler);
    void watch(int fd, std::uint32_t events, bool& always_ready);
    void serve_streams();
    void arm_streams();

    boost::asio::io_context context_{1};
    std::list<boost::asio::posix::stream_descriptor> descriptors_;
    boost::asio::signal_set signals_{context_};
    boost::asio::steady_timer timer_{context_};
    host::Reactor reactor_;
    boost::asio::posix::stream_descriptor reactor_descriptor_;
    bool devices_paused_ = false;
    bool waits_for_reactor_ = false;
    host::EventFd wake_;
    host::UniqueFd epoll_;
    std::vector<Stream> streams_;
};

}  // namespace shoal::vmm
