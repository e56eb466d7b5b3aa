// AF_UNIX below the system calls that the system tests compare with the host.
#include "guest/kernel/net/unix_socket.h"

#include <doctest/doctest.h>

#include <string>

#include "guest/kernel/fs/pipe.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

SocketAddress address_of(std::string_view name) {
    SocketAddress address;
    address.bytes[0] = std::byte{1};
    std::memcpy(&address.bytes[2], name.data(), name.size());
    address.size = 2 + name.size();
    return address;
}

// An open socket, as a descriptor refers to it.
struct Opened {
    explicit Opened(const SocketRef& made)
        : socket{made},
          file{*OpenFile::open(Entry::make(nullptr, "socket", InodeRef{made}),
                               open_flags::read_write)} {}

    Result<std::size_t> send(std::string_view text, std::vector<OpenFileRef> files = {}) const {
        SpanSource source{std::as_bytes(std::span{text})};
        OutgoingMessage message{.data = source, .size = text.size(), .files = std::move(files)};
        return socket->send(message);
    }
    std::string receive(std::size_t size) const {
        std::string text(size, '?');
        SpanDestination to{std::as_writable_bytes(std::span{text})};
        IncomingMessage message{.data = to, .size = size};
        const auto got = socket->receive(message);
        if (!got) {
            return "errno " + std::to_string(static_cast<int>(got.error()));
        }
        return text.substr(0, *got);
    }

    SocketRef socket;
    OpenFileRef file;
};

struct Pair {
    explicit Pair(FileSystem& files, SocketType type = SocketType::stream)
        : Pair{*UnixSocket::make_pair(files, {address_family::local, type, 0})} {}
    explicit Pair(const SocketPair& made) : one{made.first}, other{made.second} {}

    Opened one;
    Opened other;
};

std::uint32_t peer_pid(const Socket& socket) {
    constexpr SocketOption peer_credentials{1, 17};  // SOL_SOCKET, SO_PEERCRED
    Credentials credentials;
    REQUIRE(
        socket.get_option(peer_credentials, std::as_writable_bytes(std::span{&credentials, 1})));
    return credentials.pid;
}

TEST_CASE("a peer's credentials are those of who listened, and of who connected") {
    FileSystem files{fake::now};
    const SocketKind stream{address_family::local, SocketType::stream, 0};
    fake::caller_pid = 5;
    const Opened listener{*UnixSocket::make(files, stream)};
    REQUIRE(listener.socket->bind(address_of("/socket")));
    fake::caller_pid = 6;
    REQUIRE(listener.socket->listen(1));
    const Opened client{*UnixSocket::make(files, stream)};
    fake::caller_pid = 7;
    REQUIRE(client.socket->connect(address_of("/socket")));
    fake::caller_pid = 8;
    SocketAddress name;
    const Opened accepted{*listener.socket->accept(name)};
    CHECK(peer_pid(*client.socket) == 6);
    CHECK(peer_pid(*accepted.socket) == 7);
    const Pair pair{files};
    fake::caller_pid = 1;
    CHECK(peer_pid(*pair.one.socket) == 8);
    CHECK(peer_pid(*listener.socket) == 0);
}

TEST_CASE("a full unix socket takes no more, and is writable when three quarters are read") {
    FileSystem files{fake::now};
    const Pair pair{files};
    const std::string much(100'000, 'x');
    std::size_t sent = 0;
    Result<std::size_t> last = pair.one.send(much);
    for (; last; last = pair.one.send(much)) {
        sent += *last;
    }
    CHECK(last.error() == Errno::again);
    CHECK(sent >= UnixSocket::buffer_bytes);
    CHECK(pair.one.socket->readiness(*pair.one.file).writable == Readiness::Is::no);
    Waiter waiter;
    WaitPlace place;
    place.join(*pair.one.socket->wait_queue(*pair.one.file), waiter);
    CHECK(pair.other.receive(1000).size() == 1000);
    CHECK_FALSE(waiter.is_woken());
    CHECK(pair.other.receive(sent).size() == sent - 1000);
    CHECK(waiter.is_woken());
    CHECK(pair.one.socket->readiness(*pair.one.file).writable == Readiness::Is::yes);
}

TEST_CASE("a relative path of a unix address starts at the working directory") {
    FileSystem files{fake::now};
    SocketAddress relative = address_of("socket");
    relative.directory = *files.ensure_directory("/work");
    const SocketKind kind{address_family::local, SocketType::stream, 0};
    const Opened server{*UnixSocket::make(files, kind)};
    REQUIRE(server.socket->bind(relative));
    REQUIRE(server.socket->listen(1));
    CHECK(files.find("/work/socket"));
    CHECK_FALSE(files.find("/socket"));
    const Opened client{*UnixSocket::make(files, kind)};
    CHECK(client.socket->connect(address_of("socket")).error() == Errno::noent);
    CHECK(client.socket->connect(relative));
    CHECK(Opened{*UnixSocket::make(files, kind)}.socket->connect(address_of("/work/socket")));
}

TEST_CASE("a unix address is a path, an abstract name, or nothing") {
    CHECK(UnixAddress::parse(address_of("/a"))->name() == "/a");
    CHECK(UnixAddress::parse(address_of("/a"))->socket_address().size == 5);
    CHECK(UnixAddress::parse(address_of({"/a\0b", 4}))->name() == "/a");
    CHECK(UnixAddress::parse(address_of({"\0a\0", 3}))->name() == std::string_view{"\0a\0", 3});
    CHECK(UnixAddress::parse(address_of(""))->is_unnamed());
    CHECK(UnixAddress::parse(address_of(std::string(108, 'x')))->name().size() == 108);
    CHECK(UnixAddress::parse(address_of(std::string(109, 'x'))).error() == Errno::inval);
    SocketAddress short_one;
    short_one.size = 1;
    CHECK(UnixAddress::parse(short_one).error() == Errno::inval);
    SocketAddress inet = address_of("x");
    inet.bytes[0] = std::byte{2};
    CHECK(UnixAddress::parse(inet).error() == Errno::inval);
}

TEST_CASE("a full backlog asks for patience, and accept() wakes who waits") {
    FileSystem files{fake::now};
    const auto make = [&] {
        return Opened{*UnixSocket::make(files, {address_family::local, SocketType::stream, 0})};
    };
    const Opened listener = make();
    REQUIRE(listener.socket->bind(address_of({"\0a", 2})));
    REQUIRE(listener.socket->listen(0));
    const Opened first = make();
    REQUIRE(first.socket->connect(address_of({"\0a", 2})));
    const Opened second = make();
    CHECK(second.socket->connect(address_of({"\0a", 2})).error() == Errno::again);
    Waiter waiter;
    WaitPlace place;
    place.join(*second.socket->wait_queue(*second.file), waiter);
    SocketAddress peer;
    const auto accepted = listener.socket->accept(peer);
    REQUIRE(accepted);
    CHECK(peer.size == 2);
    CHECK(waiter.is_woken());
    CHECK(second.socket->connect(address_of({"\0a", 2})));
}

TEST_CASE("closing a listener hangs up on those who wait to be accepted") {
    FileSystem files{fake::now};
    const auto make = [&] {
        return Opened{*UnixSocket::make(files, {address_family::local, SocketType::stream, 0})};
    };
    const Opened client = make();
    {
        const Opened listener = make();
        REQUIRE(listener.socket->bind(address_of("/socket")));
        REQUIRE(listener.socket->listen(5));
        REQUIRE(client.socket->connect(address_of("/socket")));
        CHECK(client.send("early"));
    }
    CHECK(client.receive(10) == "errno 104");
    CHECK(client.receive(10).empty());
    CHECK(client.send("late").error() == Errno::pipe);
    CHECK(files.find("/socket"));
    CHECK(make().socket->connect(address_of("/socket")).error() == Errno::connrefused);
}

TEST_CASE("sockets that carry each other in a long row are closed without a deep stack") {
    FileSystem files{fake::now};
    auto ends = make_pipe(files, 0);
    REQUIRE(ends);
    OpenFileRef carried = std::move(ends->write_end);
    for (int i = 0; i < 100'000; ++i) {
        const Pair pair{files};
        std::vector<OpenFileRef> passed;
        passed.push_back(std::move(carried));
        REQUIRE(pair.one.send("x", std::move(passed)));
        carried = pair.other.file;
    }
    const auto has_writer = [&] {
        return ends->read_end->inode().readiness(*ends->read_end).hung_up == Readiness::Is::no;
    };
    CHECK(has_writer());
    carried = {};
    CHECK_FALSE(has_writer());
}

}  // namespace
}  // namespace shoal::guest
