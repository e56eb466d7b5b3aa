// An epoll set whose entries point at their handlers.
#include "devices/host/reactor.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

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

Reactor::Reactor() : epoll_{check_os(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")} {
    epoll_event event{};  // nobody is called for it
    event.events = EPOLLIN;
    check_os(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, deferred_event_.fd(), &event), "epoll_ctl");
}

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
    const auto forget = [&handler](std::span<epoll_event> events) {
        for (epoll_event& event : events) {
            if (event.data.ptr == &handler) {
                event.data.ptr = nullptr;
            }
        }
    };
    forget(std::span{fetched_}.first(fetched_count_));
    forget(std::span{deferred_}.first(deferred_count_));
}

bool Reactor::defer(EventHandler& handler, std::uint32_t events) noexcept {
    for (epoll_event& event : std::span{deferred_}.first(deferred_count_)) {
        if (event.data.ptr == &handler) {
            event.events |= events;
            return true;
        }
    }
    if (deferred_count_ == max_deferred) {
        return false;
    }
    deferred_[deferred_count_++] = make_event(events, handler);
    if (!std::exchange(is_deferred_event_set_, true)) {
        deferred_event_.signal();
    }
    return true;
}

bool Reactor::dispatch(int timeout_ms) noexcept {
    const std::uint64_t end_ns = monotonic_ns() + turn_ns;
    if (!dispatch_round(timeout_ms, end_ns)) {
        return false;
    }
    while (monotonic_ns() < end_ns && dispatch_round(0, end_ns)) {
    }
    return true;
}

bool Reactor::fetch(int timeout_ms) noexcept {
    int count = 0;
    do {  // a signal starts the wait anew
        count = ::epoll_wait(epoll_.get(), fetched_.data(), static_cast<int>(fetched_.size()),
                             timeout_ms);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        return false;
    }
    fetched_count_ = static_cast<std::size_t>(count);
    return true;
}

// At least one of them, so that each has its turn; as many as were there at the start.
void Reactor::call_deferred(std::uint64_t end_ns) noexcept {
    for (std::size_t count = deferred_count_; count > 0; --count) {
        const epoll_event event = deferred_[0];
        std::copy(deferred_.begin() + 1, deferred_.begin() + deferred_count_, deferred_.begin());
        --deferred_count_;
        if (event.data.ptr != nullptr) {
            static_cast<EventHandler*>(event.data.ptr)->on_events(event.events);
        }
        if (monotonic_ns() >= end_ns) {
            return;
        }
    }
}

bool Reactor::dispatch_round(int timeout_ms, std::uint64_t end_ns) noexcept {
    if (!fetch(timeout_ms)) {
        return false;
    }
    call_deferred(end_ns);
    for (std::size_t idx = 0; idx < fetched_count_; ++idx) {
        if (void* const handler = fetched_[idx].data.ptr) {
            static_cast<EventHandler*>(handler)->on_events(fetched_[idx].events);
        }
    }
    fetched_count_ = 0;
    if (deferred_count_ == 0 && std::exchange(is_deferred_event_set_, false)) {
        deferred_event_.drain();
    }
    return true;
}

}  // namespace shoal::host
