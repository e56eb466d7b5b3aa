// The ring of bytes that a vsock connection holds for its reader.
#include "guest/kernel/net/vsock_buffer.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

namespace shoal::guest {
namespace {

std::vector<std::byte> numbered(std::size_t count, std::size_t first = 0) {
    std::vector<std::byte> bytes(count);
    for (std::size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<std::byte>((first + i) % 251);
    }
    return bytes;
}

std::vector<std::byte> take(VsockBuffer& buffer, std::size_t count) {
    std::vector<std::byte> bytes(count);
    SpanDestination to{bytes};
    CHECK(buffer.copy(to, count));
    buffer.discard(count);
    return bytes;
}

TEST_CASE("a vsock buffer gives back what it took, across its end") {
    VsockBuffer buffer;
    CHECK(buffer.append(numbered(VsockBuffer::capacity - 10)));
    CHECK(take(buffer, VsockBuffer::capacity - 20) == numbered(VsockBuffer::capacity - 20));
    CHECK(buffer.append(numbered(100, VsockBuffer::capacity - 10)));
    CHECK(buffer.size() == 110);
    CHECK(take(buffer, 110) == numbered(110, VsockBuffer::capacity - 20));
    CHECK(buffer.size() == 0);
}

TEST_CASE("a vsock buffer takes all of a packet or nothing") {
    VsockBuffer buffer;
    CHECK(!buffer.append(numbered(VsockBuffer::capacity + 1)));
    CHECK(buffer.append(numbered(VsockBuffer::capacity)));
    CHECK(!buffer.append(numbered(1)));
    CHECK(buffer.append({}));
    CHECK(buffer.size() == VsockBuffer::capacity);
}

TEST_CASE("a reader that cannot take the bytes leaves them in the vsock buffer") {
    VsockBuffer buffer;
    CHECK(buffer.append(numbered(8)));
    std::array<std::byte, 4> room{};
    SpanDestination to{room};
    CHECK(!buffer.copy(to, 8));
    CHECK(take(buffer, 8) == numbered(8));
}

}  // namespace
}  // namespace shoal::guest
