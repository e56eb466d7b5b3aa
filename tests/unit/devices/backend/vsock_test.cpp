// The host's side of vsock: the line that a program says, the listener, the buffer, the timer.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "devices/backend/vsock_buffer.h"
#include "devices/backend/vsock_greeter.h"
#include "devices/backend/vsock_greeting.h"
#include "devices/backend/vsock_listener.h"
#include "tests/unit/devices/virtio/vsock_peer.h"

namespace shoal::backend {
namespace {

using virtio::TemporaryFolder;
using virtio::VsockPeer;
using virtio::VsockServer;

TEST_CASE("CONNECT and a port are two words") {
    CHECK(parse_connect_line("CONNECT 52") == 52);
    CHECK(parse_connect_line("connect 52") == 52);
    CHECK(parse_connect_line("CONNECT   0 \r") == 0);
    CHECK(parse_connect_line("CONNECT 4294967295") == 4294967295);
    CHECK_FALSE(parse_connect_line("CONNECT 4294967296"));
    CHECK_FALSE(parse_connect_line("CONNECT -1"));
    CHECK_FALSE(parse_connect_line("CONNECT +1"));
    CHECK_FALSE(parse_connect_line("CONNECT 0x10"));
    CHECK_FALSE(parse_connect_line("CONNECT 1 2"));
    CHECK_FALSE(parse_connect_line("CONNECT"));
    CHECK_FALSE(parse_connect_line("CONNECT "));
    CHECK_FALSE(parse_connect_line("CONNECT52"));
    CHECK_FALSE(parse_connect_line("C\nNNECT 52"));
    CHECK_FALSE(parse_connect_line(""));
    CHECK_FALSE(parse_connect_line("52"));
}

TEST_CASE("a listener is at its path while it lives, and leaves nothing behind") {
    const TemporaryFolder folder;
    const std::string path = folder / "socket";
    {
        const VsockListener listener{path};
        CHECK(listener.accept().error == std::errc::resource_unavailable_try_again);
        const VsockPeer peer{path};
        CHECK(listener.accept().socket);
        CHECK_THROWS(VsockListener{path});
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a listener leaves alone what has taken its path") {
    const TemporaryFolder folder;
    const std::string path = folder / "socket";
    std::optional<VsockListener> listener{std::in_place, path};
    std::filesystem::rename(path, folder / "moved");
    const VsockServer other{path};
    listener.reset();
    CHECK(std::filesystem::exists(path));
}

TEST_CASE("a path of 107 bytes fits, and one of 108 does not") {
    const TemporaryFolder folder;
    std::string path = folder / "";
    path.resize(107, 'x');
    CHECK_NOTHROW(VsockListener{path});
    path += 'x';
    const std::string text = "vsock uds_path \"" + path + "\" has 108 bytes: 1 to 107 are possible";
    CHECK_THROWS_WITH(VsockListener{path}, text.c_str());
}

std::string content(const VsockBuffer& buffer) {
    std::string all;
    for (const iovec& piece : buffer.pieces()) {
        all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    return all;
}

TEST_CASE("a buffer keeps order around its end and skips what was written already") {
    VsockBuffer buffer;
    CHECK(content(buffer).empty());
    std::string expected;
    std::size_t next = 0;
    for (int turn = 0; turn < 40; ++turn) {
        std::string text = "??";
        while (text.size() < 10'000) {
            text += std::to_string(next++);
        }
        const std::array pieces{iovec{text.data(), 1}, iovec{text.data() + 1, text.size() - 1}};
        REQUIRE(buffer.push(pieces, 2));
        expected += text.substr(2);
        REQUIRE(content(buffer) == expected);
        const std::size_t taken = std::min<std::size_t>(expected.size(), turn < 3 ? 1 : 9'990);
        buffer.pop(taken);
        expected.erase(0, taken);
    }
    buffer.clear();
    CHECK(buffer.free_bytes() == VsockBuffer::capacity);
    std::string full(VsockBuffer::capacity, 'f');
    CHECK(buffer.push(std::array{iovec{full.data(), full.size()}}, 0));
    CHECK(buffer.free_bytes() == 0);
    CHECK(content(buffer) == full);
}

struct Requests final : VsockGreeter::Sink {
    void on_connect_request(std::uint32_t port, host::UniqueFd) noexcept override {
        last = port;
        ++count;
    }
    std::uint32_t last = 0;
    std::uint32_t count = 0;
};

TEST_CASE("silent programs wait in a bounded room, and the others behind them have their turn") {
    const TemporaryFolder folder;
    host::Reactor reactor;
    Requests requests;
    const VsockGreeter greeter{folder / "socket", reactor, requests, 20};
    std::vector<VsockPeer> silent;
    for (std::size_t i = 0; i < VsockGreeter::max_waiting; ++i) {
        silent.emplace_back(folder / "socket");
    }
    const VsockPeer loud{folder / "socket"};
    loud.write("CONNECT 5\n");
    while (reactor.dispatch(0)) {
    }
    CHECK(requests.count == 0);
    for (int turn = 0; turn < 1000 && requests.count == 0; ++turn) {
        reactor.dispatch(10);
    }
    CHECK(requests.last == 5);
    for (int turn = 0; turn < 1000 && !silent.back().is_at_end(); ++turn) {
        reactor.dispatch(10);
    }
    CHECK(silent.front().is_at_end());
    CHECK(silent.back().is_at_end());
}

TEST_CASE("a line may come in pieces") {
    const TemporaryFolder folder;
    host::Reactor reactor;
    Requests requests;
    const VsockGreeter greeter{folder / "socket", reactor, requests, 1000};
    const VsockPeer peer{folder / "socket"};
    for (const char letter : std::string{"CONNECT 123\n"}) {
        CHECK(requests.count == 0);
        peer.write({&letter, 1});
        reactor.dispatch(100);
    }
    CHECK(requests.last == 123);
}

}  // namespace
}  // namespace shoal::backend
