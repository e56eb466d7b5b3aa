#include "guest/kernel/sched/wait_queue.h"

#include <doctest/doctest.h>

#include <array>

#include "tests/unit/guest/kernel/sched/fake_scheduler.h"

namespace shoal::guest {
namespace {

TEST_CASE("a wake before the wait is not lost, and is taken once") {
    WaitQueue queue;
    Waiter waiter;
    WaitPlace place;
    place.join(queue, waiter);
    queue.wake_all();
    CHECK(waiter.wait(no_deadline) == Wake::woken);
    CHECK(waiter.wait(0) == Wake::timed_out);
}

TEST_CASE("wake_one wakes in the order of joining, and no one twice") {
    WaitQueue queue;
    Waiter first;
    Waiter second;
    WaitPlace first_place;
    WaitPlace second_place;
    first_place.join(queue, first);
    second_place.join(queue, second);
    queue.wake_one();
    CHECK(first.is_woken());
    CHECK_FALSE(second.is_woken());
    queue.wake_one();
    CHECK(second.is_woken());
}

TEST_CASE("wake_one wakes a thread and every listener") {
    struct Listener final : WakeListener {
        void on_wake() noexcept override { ++wakes; }
        int wakes = 0;
    };
    WaitQueue queue;
    Waiter thread;
    Waiter other_thread;
    std::array<Listener, 2> listeners;
    std::array<WaitPlace, 4> places;
    places[0].join(queue, listeners[0]);
    places[1].join(queue, thread);
    places[2].join(queue, other_thread);
    places[3].join(queue, listeners[1]);
    queue.wake_one();
    CHECK(thread.is_woken());
    CHECK_FALSE(other_thread.is_woken());
    CHECK(listeners[0].wakes == 1);
    CHECK(listeners[1].wakes == 1);
    CHECK_FALSE(listeners[0].is_woken());
}

TEST_CASE("a waiter in two queues is woken by either, and leaves both") {
    WaitQueue one;
    WaitQueue two;
    {
        Waiter waiter;
        WaitPlace places[2];
        places[0].join(one, waiter);
        places[1].join(two, waiter);
        two.wake_all();
        CHECK(waiter.wait(no_deadline) == Wake::woken);
    }
    CHECK(one.empty());
    CHECK(two.empty());
}

TEST_CASE("a queue that goes wakes who waits in it") {
    Waiter waiter;
    WaitPlace place;
    {
        WaitQueue queue;
        place.join(queue, waiter);
    }
    CHECK(waiter.is_woken());
    place.leave();
}

TEST_CASE("wait_until_true looks before it waits and after each wake") {
    WaitQueue queue;
    int looks = 0;
    test::while_blocked = [&] { queue.wake_all(); };
    CHECK(wait_until_true(queue, no_deadline, [&] { return ++looks == 3; }) == Wake::woken);
    test::while_blocked = {};
    CHECK(looks == 3);
    CHECK(wait_until_true(queue, 0, [] { return false; }) == Wake::timed_out);
    CHECK(queue.empty());
}

}  // namespace
}  // namespace shoal::guest
