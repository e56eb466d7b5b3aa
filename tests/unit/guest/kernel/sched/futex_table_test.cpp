#include "guest/kernel/sched/futex_table.h"

#include <doctest/doctest.h>

#include <array>

namespace shoal::guest {
namespace {

constexpr char memory = 0;
constexpr char other_memory = 0;
const FutexKey here{&memory, 0x1000};
const FutexKey there{&memory, 0x2000};

template <std::size_t count>
unsigned woken(const std::array<FutexWaiter, count>& waiters) {
    unsigned result = 0;
    for (const FutexWaiter& waiter : waiters) {
        result += waiter.waiter.is_woken() ? 1U : 0U;
    }
    return result;
}

TEST_CASE("a wake reaches as many as it says, in the order of their coming") {
    FutexTable table;
    std::array<FutexWaiter, 3> waiters{FutexWaiter{here}, FutexWaiter{here}, FutexWaiter{here}};
    for (FutexWaiter& waiter : waiters) {
        table.add(waiter);
    }
    CHECK(table.wake(here, 0) == 0);
    CHECK(table.wake(here, 2) == 2);
    CHECK(waiters[0].waiter.is_woken());
    CHECK(waiters[1].waiter.is_woken());
    CHECK_FALSE(waiters[2].waiter.is_woken());
    CHECK(table.wake(here, UINT32_MAX) == 1);
    CHECK(table.wake(here, UINT32_MAX) == 0);
}

TEST_CASE("a wake is for one address of one memory, though others share its bucket") {
    FutexTable table;
    FutexWaiter elsewhere{{&memory, here.address + 64 * 4}};
    FutexWaiter in_other_memory{{&other_memory, here.address}};
    table.add(elsewhere);
    table.add(in_other_memory);
    CHECK(table.wake(here, 10) == 0);
    CHECK(table.wake(elsewhere.key, 10) == 1);
    CHECK(table.wake(in_other_memory.key, 10) == 1);
}

TEST_CASE("a wake with bits reaches who waits for one of them") {
    FutexTable table;
    FutexWaiter first{here, 1};
    FutexWaiter second{here, 6};
    table.add(first);
    table.add(second);
    CHECK(table.wake(here, 10, 8) == 0);
    CHECK(table.wake(here, 10, 4) == 1);
    CHECK(second.waiter.is_woken());
    CHECK_FALSE(first.waiter.is_woken());
    table.remove(first);
    CHECK(table.wake(here, 10) == 0);
}

TEST_CASE("requeued waiters wait elsewhere, and are woken there") {
    FutexTable table;
    std::array<FutexWaiter, 3> waiters{FutexWaiter{here}, FutexWaiter{here}, FutexWaiter{here}};
    for (FutexWaiter& waiter : waiters) {
        table.add(waiter);
    }
    CHECK(table.requeue(here, there, 2) == 2);
    CHECK(woken(waiters) == 0);
    CHECK(table.wake(here, 10) == 1);
    CHECK(table.wake(there, 1) == 1);
    CHECK(waiters[0].waiter.is_woken());
    table.remove(waiters[1]);
    CHECK(table.wake(there, 10) == 0);
    SUBCASE("to the same place: counted, as by Linux, and nothing moves") {
        FutexWaiter waiter{here};
        table.add(waiter);
        CHECK(table.requeue(here, here, 10) == 1);
        CHECK(table.wake(here, 10) == 1);
    }
}

}  // namespace
}  // namespace shoal::guest
