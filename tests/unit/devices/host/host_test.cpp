// Owned descriptors and mappings are released once; errors name the call.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include "devices/host/event_fd.h"
#include "devices/host/mapping.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::host {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

int open_null() {
    return check_os(::open("/dev/null", O_RDWR | O_CLOEXEC), "open");
}

TEST_CASE("a descriptor is closed at the end of its owner's scope") {
    int number = -1;
    {
        const UniqueFd fd{open_null()};
        number = fd.get();
        CHECK(fd);
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
    CHECK_FALSE(UniqueFd{});
}

TEST_CASE("a moved descriptor has one owner") {
    UniqueFd first{open_null()};
    const int number = first.get();
    UniqueFd second{std::move(first)};
    CHECK(second.get() == number);
    UniqueFd third{open_null()};
    third = std::move(second);
    CHECK(third.get() == number);
    CHECK(is_open(number));
}

TEST_CASE("a mapping holds its bytes and can be moved") {
    Mapping mapping{4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1};
    mapping.bytes()[4095] = std::byte{7};
    Mapping other{std::move(mapping)};
    CHECK(other.size() == 4096);
    CHECK(other.bytes()[4095] == std::byte{7});
    Mapping empty;
    CHECK(empty.bytes().empty());
    empty = std::move(other);
    CHECK(empty.bytes()[4095] == std::byte{7});
}

TEST_CASE("a mapping that the host refuses throws") {
    CHECK_THROWS_AS((Mapping{0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1}), std::system_error);
    CHECK_THROWS_AS((Mapping{~0ULL, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1}),
                    std::system_error);
    CHECK_THROWS_AS((Mapping{4096, PROT_READ, MAP_PRIVATE, 1'000'000}), std::system_error);
}

TEST_CASE("an event is seen once, however often it was signalled") {
    const EventFd event;
    pollfd query{event.fd(), POLLIN, 0};
    CHECK(::poll(&query, 1, 0) == 0);
    CHECK_FALSE(event.drain());
    event.signal();
    event.signal();
    CHECK(::poll(&query, 1, 0) == 1);
    CHECK(event.drain());
    CHECK_FALSE(event.drain());
}

TEST_CASE("an error names the call and the reason") {
    try {
        check_os(::open("/no/such/file", O_RDONLY | O_CLOEXEC), "opening the file");
        FAIL("it was opened");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ENOENT);
        CHECK(std::string{error.what()}.find("opening the file") != std::string::npos);
    }
    CHECK(check_os(3, "nothing") == 3);
}

}  // namespace
}  // namespace shoal::host
