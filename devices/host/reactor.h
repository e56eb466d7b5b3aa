// Reactor: tells the owner of a file descriptor when it is ready. One epoll set.
//
// The VMM's event loop dispatches it; a unit test dispatches its own.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>

#include "devices/host/event_fd.h"
#include "devices/host/unique_fd.h"

namespace shoal::host {

// Called on the thread that dispatches. `events` are epoll's bits.
class EventHandler {
public:
    virtual ~EventHandler() = default;
    virtual void on_events(std::uint32_t events) noexcept = 0;
};

class Reactor {
public:
    Reactor();

    // Starts to watch `fd` for `events` (EPOLLIN, EPOLLOUT, EPOLLET, ...; 0: only errors and
    // hang-ups). Borrows both until remove(). Any thread. Throws std::system_error: EPERM for what
    // cannot be waited for, such as a regular file.
    void add(int fd, std::uint32_t events, EventHandler& handler);
    // Any thread; `fd` has been added.
    void modify(int fd, std::uint32_t events, EventHandler& handler) noexcept;
    // On the dispatching thread, or while nobody dispatches: `handler` is not called afterwards,
    // also not for events that are already fetched.
    void remove(int fd, EventHandler& handler) noexcept;

    // In on_events(): `handler` cannot take its events now and is called with them again, when
    // others had their turn. False: too many wait already; it has to take them.
    [[nodiscard]] bool defer(EventHandler& handler, std::uint32_t events) noexcept;

    // Waits `timeout_ms` (-1: for ever) for events and calls their handlers, and goes on while more
    // come, but not for longer than a turn: others share the thread. True when there was an event.
    bool dispatch(int timeout_ms) noexcept;

    // Readable when there is something to dispatch.
    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

private:
    bool dispatch_round(int timeout_ms, std::uint64_t end_ns) noexcept;
    bool fetch(int timeout_ms) noexcept;
    void call_deferred(std::uint64_t end_ns) noexcept;

    // After which no more events are fetched. A handler has some 0.3 ms at most.
    static constexpr std::uint64_t turn_ns = 1'000'000;
    // How many handlers may follow when the time is over.
    static constexpr std::size_t max_events_per_round = 4;
    // Each device has a handful of handlers, and a vCPU holds one device's mutex.
    static constexpr std::size_t max_deferred = 16;

    UniqueFd epoll_;
    std::array<epoll_event, max_events_per_round> fetched_{};
    std::size_t fetched_count_ = 0;  // not 0 while dispatching
    EventFd deferred_event_;         // readable while some are deferred
    std::array<epoll_event, max_deferred> deferred_{};
    std::size_t deferred_count_ = 0;
    bool is_deferred_event_set_ = false;
};

}  // namespace shoal::host
