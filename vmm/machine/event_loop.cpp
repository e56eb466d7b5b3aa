// The event loop on Boost.Asio.
#include "vmm/machine/event_loop.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <array>
#include <utility>

#include "devices/host/os_error.h"

namespace shoal::vmm {
namespace {

namespace asio = boost::asio;

// Asio owns what it waits for, so it gets a duplicate.
int duplicate(int fd) {
    return host::check_os(::fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl");
}

}  // namespace

EventLoop::EventLoop()
    : reactor_descriptor_{context_, duplicate(reactor_.fd())},
      epoll_{host::check_os(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")} {
    wait_for_reactor();
    on_event(wake_, [this] { serve_streams(); });
    descriptors_.emplace_back(context_, duplicate(epoll_.get()));
    wait_for(descriptors_.back(), [this] { serve_streams(); });
}

// Once more; not while devices are paused.
void EventLoop::wait_for_reactor() {
    waits_for_reactor_ = true;
    reactor_descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                                   [this](const boost::system::error_code& error) {
                                       waits_for_reactor_ = false;
                                       if (!error && !devices_paused_) {
                                           reactor_.dispatch(0);
                                           wait_for_reactor();
                                       }
                                   });
}

void EventLoop::resume_devices() {
    devices_paused_ = false;
    if (!waits_for_reactor_) {
        wait_for_reactor();
    }
    wake_.signal();
}

void EventLoop::wait_for(asio::posix::stream_descriptor& descriptor,
                         std::function<void()> handler) {
    descriptor.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [this, &descriptor, handler = std::move(handler)](const boost::system::error_code& error) {
            if (error) {
                return;
            }
            handler();
            wait_for(descriptor, handler);
        });
}

void EventLoop::on_event(const host::EventFd& event, std::function<void()> handler) {
    descriptors_.emplace_back(context_, duplicate(event.fd()));
    wait_for(descriptors_.back(), [&event, handler = std::move(handler)] {
        event.drain();
        handler();
    });
}

void EventLoop::on_signals(std::initializer_list<int> numbers, std::function<void(int)> handler) {
    for (const int number : numbers) {
        signals_.add(number);
    }
    signals_.async_wait(
        [handler = std::move(handler)](const boost::system::error_code& error, int number) {
            if (!error) {
                handler(number);
            }
        });
}

void EventLoop::forget_signals() noexcept {
    boost::system::error_code ignored;
    signals_.clear(ignored);
}

void EventLoop::after(std::chrono::nanoseconds delay, std::function<void()> handler) {
    timer_.expires_after(delay);
    timer_.async_wait([handler = std::move(handler)](const boost::system::error_code& error) {
        if (!error) {
            handler();
        }
    });
}

void EventLoop::add_stream(backend::StreamClient& client) {
    streams_.push_back({&client});
}

// Arms one wait for the descriptor; it ends with the first event.
void EventLoop::watch(int fd, std::uint32_t events, bool& always_ready) {
    epoll_event event{};
    event.events = events | EPOLLONESHOT;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0) {
        return;
    }
    if (errno == ENOENT && ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) {
        return;
    }
    if (errno != EPERM) {
        host::throw_os_error("epoll_ctl");
    }
    always_ready = true;
}

void EventLoop::serve_streams() {
    // Which descriptors are ready does not matter: the streams poll again, and there are few.
    std::array<epoll_event, 16> events;
    while (::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0) > 0) {
    }
    if (devices_paused_) {
        return;
    }
    for (const Stream& stream : streams_) {
        if (stream.client->wants_output()) {
            stream.client->on_output_ready();
        }
        if (stream.client->wants_input()) {
            stream.client->on_input_ready();
        }
    }
    arm_streams();
}

void EventLoop::arm_streams() {
    for (Stream& stream : streams_) {
        const bool input = stream.client->wants_input() && stream.client->input_fd() >= 0;
        const bool output = stream.client->wants_output() && stream.client->output_fd() >= 0;
        if (input && output && stream.client->input_fd() == stream.client->output_fd()) {
            watch(stream.client->input_fd(), EPOLLIN | EPOLLOUT, stream.input_always_ready);
        } else {
            if (input && !stream.input_always_ready) {
                watch(stream.client->input_fd(), EPOLLIN, stream.input_always_ready);
            }
            if (output && !stream.output_always_ready) {
                watch(stream.client->output_fd(), EPOLLOUT, stream.output_always_ready);
            }
        }
        if ((input && stream.input_always_ready) || (output && stream.output_always_ready)) {
            wake_.signal();
        }
    }
}

void EventLoop::run() {
    wake_.signal();
    context_.run();
    context_.restart();
}

}  // namespace shoal::vmm
