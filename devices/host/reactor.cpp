// An epoll set whose entries point at their handlers.
#include "devices/host/reactor.h"

#include <cerrno>
#include <span>

#include "devices/host/check.h"
#include "devices/host/clock.h"
#include "devices/host/os_error.h"

namespace shoal::host {
namespace {

epoll_event make_event(std::uint32_t events, EventHandler& handler) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    return event;
}

}  // namespace

Reactor::Reactor() : epoll_{check_os(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")} {}

void Reactor::add(int fd, std::uint32_t events, EventHandler& handler) {
    epoll_event event = make_event(events, handler);
    check_os(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void Reactor::modify(int fd, std::uint32_t events, EventHandler& handler) noexcept {
    epoll_event event = make_event(events, handler);
    SHOAL_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Reactor::remove(int fd, EventHandler& handler) noexcept {
    SHOAL_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
    for (epoll_event& event : std::span{fetched_}.first(fetched_count_)) {
        if (event.data.ptr == &handler) {
            event.data.ptr = nullptr;
        }
    }
}

bool Reactor::dispatch(int timeout_ms) noexcept {
    const std::uint64_t end_ns = monotonic_ns() + turn_ns;
    if (!dispatch_round(timeout_ms)) {
        return false;
    }
    while (monotonic_ns() < end_ns && dispatch_round(0)) {
    }
    return true;
}

bool Reactor::dispatch_round(int timeout_ms) noexcept {
    int count = 0;
    do {  // a signal starts the wait anew
        count = ::epoll_wait(epoll_.get(), fetched_.data(), static_cast<int>(fetched_.size()),
                             timeout_ms);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        return false;
    }
    fetched_count_ = static_cast<std::size_t>(count);
    for (std::size_t idx = 0; idx < fetched_count_; ++idx) {
        if (void* const handler = fetched_[idx].data.ptr) {
            static_cast<EventHandler*>(handler)->on_events(fetched_[idx].events);
        }
    }
    fetched_count_ = 0;
    return true;
}

}  // namespace shoal::host
