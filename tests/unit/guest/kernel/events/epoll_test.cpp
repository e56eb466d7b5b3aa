// Epoll, below the system calls that the system tests compare with the host.
#include "guest/kernel/events/epoll.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "guest/kernel/events/event_file.h"
#include "guest/kernel/events/poll_events.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

OpenFileRef open_event(FileSystem& files, std::uint64_t counter) {
    return *open_anonymous(files.make_inode<EventFile>(counter, EventCounting::all), "event",
                           open_flags::read_write);
}

OpenFileRef open_epoll(FileSystem& files) {
    return *open_anonymous(files.make_inode<Epoll>(), "epoll", open_flags::read_write);
}

Epoll& epoll_of(OpenFile& file) {
    return *anonymous_cast<Epoll>(file.inode());
}

void add(OpenFile& event, std::uint64_t number) {
    SpanSource source{std::as_bytes(std::span{&number, 1})};
    REQUIRE(event.inode().write(event, 0, source, sizeof number));
}

TEST_CASE("idle files cost a wait nothing") {
    FileSystem files{fake::now};
    const OpenFileRef file = open_epoll(files);
    Epoll& epoll = epoll_of(*file);
    std::vector<OpenFileRef> events;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        events.push_back(open_event(files, 0));
        REQUIRE(epoll.add(*events.back(), i, {poll_events::in, i}));
    }
    CHECK(epoll.ready_count() == 0);
    add(*events[700], 1);
    CHECK(epoll.ready_count() == 1);
    std::array<EpollEvent, 4> found;
    std::size_t looks = epoll.ready_count();
    REQUIRE(epoll.collect(found, looks) == 1);
    const std::uint64_t data = found[0].data;
    CHECK(data == 700);
}

TEST_CASE("a round of level-triggered events ends, and goes on where it stopped") {
    FileSystem files{fake::now};
    const OpenFileRef file = open_epoll(files);
    Epoll& epoll = epoll_of(*file);
    std::vector<OpenFileRef> events;
    for (std::uint32_t i = 0; i < 3; ++i) {
        events.push_back(open_event(files, 1));
        REQUIRE(epoll.add(*events.back(), i, {poll_events::in, i}));
    }
    std::array<EpollEvent, 2> found;
    const auto collect = [&] {
        std::size_t looks = epoll.ready_count();
        std::vector<std::uint64_t> all;
        const std::size_t count = epoll.collect(found, looks);
        for (std::size_t i = 0; i < count; ++i) {
            all.push_back(std::uint64_t{found[i].data});  // it is packed
        }
        return all;
    };
    CHECK(collect() == std::vector<std::uint64_t>{0, 1});
    CHECK(collect() == std::vector<std::uint64_t>{2, 0});
}

TEST_CASE("the last close of a file takes it off every list") {
    FileSystem files{fake::now};
    const OpenFileRef one = open_epoll(files);
    const OpenFileRef other = open_epoll(files);
    OpenFileRef event = open_event(files, 1);
    REQUIRE(epoll_of(*one).add(*event, 5, {poll_events::in, 0}));
    REQUIRE(epoll_of(*one).add(*event, 6, {poll_events::in, 0}));
    REQUIRE(epoll_of(*other).add(*event, 5, {poll_events::in, 0}));
    CHECK(epoll_of(*one).add(*event, 5, {poll_events::in, 0}).error() == Errno::exist);
    CHECK(epoll_of(*one).ready_count() == 2);
    event = {};
    CHECK(epoll_of(*one).ready_count() == 0);
    CHECK(epoll_of(*other).ready_count() == 0);
}

TEST_CASE("an epoll that goes leaves the files it watched") {
    FileSystem files{fake::now};
    const OpenFileRef event = open_event(files, 0);
    {
        const OpenFileRef file = open_epoll(files);
        REQUIRE(epoll_of(*file).add(*event, 5, {poll_events::in, 0}));
        CHECK(event->epoll_items != nullptr);
    }
    CHECK(event->epoll_items == nullptr);
    CHECK(event->inode().wait_queue(*event)->empty());
}

TEST_CASE("epolls nest five deep, built from either end, and in no circle") {
    FileSystem files{fake::now};
    std::vector<OpenFileRef> row;
    for (int i = 0; i < 6; ++i) {
        row.push_back(open_epoll(files));
    }
    const auto nest = [&](std::size_t outer, std::size_t inner) {
        return epoll_of(*row[outer]).add(*row[inner], 0, {poll_events::in, 0});
    };
    SUBCASE("from the outermost") {
        for (std::size_t i = 0; i < 4; ++i) {
            CHECK(nest(i, i + 1));
        }
        CHECK(nest(4, 5).error() == Errno::loop);
    }
    SUBCASE("from the innermost") {
        for (std::size_t i = 5; i > 1; --i) {
            CHECK(nest(i - 1, i));
        }
        CHECK(nest(0, 1).error() == Errno::loop);
    }
    SUBCASE("in a circle") {
        CHECK(nest(0, 1));
        CHECK(nest(1, 2));
        CHECK(nest(2, 0).error() == Errno::loop);
        CHECK(nest(1, 0).error() == Errno::loop);
    }
}

TEST_CASE("an event wakes one of the threads that wait in an epoll, and the rest is passed on") {
    FileSystem files{fake::now};
    const OpenFileRef file = open_epoll(files);
    Epoll& epoll = epoll_of(*file);
    const OpenFileRef event = open_event(files, 0);
    REQUIRE(epoll.add(*event, 5, {poll_events::in, 0}));
    std::array<Waiter, 2> waiters;
    std::array<WaitPlace, 2> places;
    places[0].join(*epoll.wait_queue(*file), waiters[0]);
    places[1].join(*epoll.wait_queue(*file), waiters[1]);
    add(*event, 1);
    CHECK(waiters[0].is_woken());
    CHECK_FALSE(waiters[1].is_woken());
    epoll.pass_on();
    CHECK(waiters[1].is_woken());
}

}  // namespace
}  // namespace shoal::guest
