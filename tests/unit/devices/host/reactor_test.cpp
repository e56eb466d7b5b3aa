#include "devices/host/reactor.h"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <system_error>
#include <utility>

#include "devices/host/clock.h"
#include "devices/host/event_fd.h"

namespace {

using namespace shoal::host;

struct Recorder final : EventHandler {
    explicit Recorder(std::function<void()> reaction = {}) : action{std::move(reaction)} {}
    void on_events(std::uint32_t events) noexcept override {
        ++calls;
        last_events = events;
        if (action) {
            action();
        }
    }
    std::function<void()> action;
    unsigned calls = 0;
    std::uint32_t last_events = 0;
};

}  // namespace

TEST_CASE("the reactor calls the handler of what is ready, and nobody else") {
    Reactor reactor;
    EventFd ready;
    EventFd quiet;
    Recorder on_ready{[&] { ready.drain(); }};
    Recorder on_quiet;
    reactor.add(ready.fd(), EPOLLIN, on_ready);
    reactor.add(quiet.fd(), EPOLLIN, on_quiet);
    CHECK_FALSE(reactor.dispatch(0));
    ready.signal();
    CHECK(reactor.dispatch(1000));
    CHECK(on_ready.calls == 1);
    CHECK(on_ready.last_events == EPOLLIN);
    CHECK(on_quiet.calls == 0);
    CHECK_FALSE(reactor.dispatch(0));
}

TEST_CASE("an edge-triggered eventfd needs no drain and loses no signal") {
    Reactor reactor;
    EventFd event;
    Recorder handler;
    reactor.add(event.fd(), EPOLLIN | EPOLLET, handler);
    for (unsigned count = 1; count <= 3; ++count) {
        event.signal();
        CHECK(reactor.dispatch(1000));
        CHECK(handler.calls == count);
        CHECK_FALSE(reactor.dispatch(0));
    }
}

TEST_CASE("interest can be changed, and a handler that is removed is not called") {
    Reactor reactor;
    EventFd event;
    Recorder handler{[&] { event.drain(); }};
    reactor.add(event.fd(), 0, handler);
    event.signal();
    CHECK_FALSE(reactor.dispatch(0));
    reactor.modify(event.fd(), EPOLLIN, handler);
    CHECK(reactor.dispatch(1000));
    CHECK(handler.calls == 1);
    event.signal();
    reactor.remove(event.fd(), handler);
    CHECK_FALSE(reactor.dispatch(0));
    CHECK(handler.calls == 1);
}

TEST_CASE("a handler that another removes in the same round is not called") {
    Reactor reactor;
    EventFd first;
    EventFd second;
    Recorder* victim = nullptr;
    int victim_fd = -1;
    Recorder one{[&] {
        reactor.remove(victim_fd, *victim);
        first.drain();
    }};
    Recorder two{[&] {
        reactor.remove(first.fd(), one);
        second.drain();
    }};
    victim = &two;
    victim_fd = second.fd();
    reactor.add(first.fd(), EPOLLIN, one);
    reactor.add(second.fd(), EPOLLIN, two);
    first.signal();
    second.signal();
    CHECK(reactor.dispatch(1000));
    CHECK(one.calls + two.calls == 1);
}

TEST_CASE("events without end do not keep dispatch from returning") {
    Reactor reactor;
    EventFd event;
    Recorder handler;  // never drains
    reactor.add(event.fd(), EPOLLIN, handler);
    event.signal();
    CHECK(reactor.dispatch(1000));
    CHECK(handler.calls >= 1);
}

TEST_CASE("a turn ends soon after its time, however many handlers are ready") {
    Reactor reactor;
    Recorder handler{[] {
        const std::uint64_t end_ns = monotonic_ns() + 1'000'000;
        while (monotonic_ns() < end_ns) {
        }
    }};
    std::array<EventFd, 100> events;
    for (const EventFd& event : events) {
        reactor.add(event.fd(), EPOLLIN, handler);
        event.signal();
    }
    CHECK(reactor.dispatch(1000));
    CHECK(handler.calls <= 4);
    const unsigned before = handler.calls;
    CHECK(reactor.dispatch(0));
    CHECK(handler.calls > before);
}

TEST_CASE("a descriptor that cannot be waited for is refused") {
    Reactor reactor;
    Recorder handler;
    CHECK_THROWS_AS(reactor.add(-1, EPOLLIN, handler), std::system_error);
}
