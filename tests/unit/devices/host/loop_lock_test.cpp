// Handlers that cannot have their mutex now: they wait, and nobody waits for them.
#include "devices/host/loop_lock.h"

#include <doctest/doctest.h>

#include <array>
#include <mutex>
#include <optional>
#include <semaphore>
#include <thread>

#include "devices/host/event_fd.h"

namespace shoal::host {
namespace {

// A handler that needs a mutex, watched edge-triggered: an event that it does not take is gone.
struct Guarded final : EventHandler {
    Guarded(Reactor& owner, std::mutex& guard) : reactor{owner}, mutex{guard} {
        reactor.add(event.fd(), EPOLLIN | EPOLLET, *this);
    }
    ~Guarded() override { reactor.remove(event.fd(), *this); }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    void on_events(std::uint32_t events) noexcept override {
        ++calls;
        if (const LoopLock lock{mutex, reactor, *this, events}) {
            ++served;
            last_events = events;
        }
    }
    Reactor& reactor;
    std::mutex& mutex;
    EventFd event;
    int calls = 0;
    int served = 0;
    std::uint32_t last_events = 0;
};

// Another thread that has the mutex, until release().
class Holder {
public:
    explicit Holder(std::mutex& mutex)
        : thread_{[this, &mutex] {
              const std::scoped_lock lock{mutex};
              has_it_.release();
              may_go_.acquire();
          }} {
        has_it_.acquire();
    }
    void release() {
        may_go_.release();
        thread_.join();
    }

private:
    std::binary_semaphore has_it_{0};
    std::binary_semaphore may_go_{0};
    std::jthread thread_;
};

}  // namespace

TEST_CASE("a handler whose mutex another thread holds is called again, and others meanwhile") {
    Reactor reactor;
    std::mutex held;
    std::mutex free;
    Guarded waiting{reactor, held};
    Guarded other{reactor, free};
    Holder holder{held};
    waiting.event.signal();
    CHECK(reactor.dispatch(1000));
    CHECK(waiting.calls > 0);
    CHECK(waiting.served == 0);
    other.event.signal();
    CHECK(reactor.dispatch(1000));
    CHECK(other.served == 1);
    CHECK(waiting.served == 0);
    holder.release();
    CHECK(reactor.dispatch(1000));  // an outer epoll sees it as well: there is something to do
    CHECK(waiting.served == 1);
    CHECK(waiting.last_events == EPOLLIN);
    CHECK_FALSE(reactor.dispatch(0));
}

TEST_CASE("a handler that is removed while it waits is not called") {
    Reactor reactor;
    std::mutex held;
    std::optional<Guarded> waiting{std::in_place, reactor, held};
    Holder holder{held};
    waiting->event.signal();
    CHECK(reactor.dispatch(1000));
    waiting.reset();
    holder.release();
    static_cast<void>(reactor.dispatch(0));
    CHECK_FALSE(reactor.dispatch(0));
}

TEST_CASE("a limited number of handlers wait, each once") {
    Reactor reactor;
    struct Idle final : EventHandler {
        void on_events(std::uint32_t events) noexcept override { seen |= events; }
        std::uint32_t seen = 0;
    };
    std::array<Idle, 17> handlers;
    for (std::size_t idx = 0; idx < 16; ++idx) {
        CHECK(reactor.defer(handlers[idx], EPOLLIN));
        CHECK(reactor.defer(handlers[idx], EPOLLOUT));
    }
    CHECK_FALSE(reactor.defer(handlers[16], EPOLLIN));
    while (reactor.dispatch(0)) {
    }
    for (std::size_t idx = 0; idx < 16; ++idx) {
        CHECK(handlers[idx].seen == (EPOLLIN | EPOLLOUT));
    }
    CHECK(handlers[16].seen == 0);
    CHECK(reactor.defer(handlers[16], EPOLLIN));
}

TEST_CASE("a mutex that is free is taken at the first call") {
    Reactor reactor;
    std::mutex mutex;
    Guarded handler{reactor, mutex};
    handler.event.signal();
    CHECK(reactor.dispatch(1000));
    CHECK(handler.calls == 1);
    CHECK(handler.served == 1);
}

}  // namespace shoal::host
