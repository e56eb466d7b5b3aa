// One vsock connection under load: credit in both directions, full sockets.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

#include "tests/unit/devices/virtio/vsock_guest.h"

namespace shoal::virtio {
namespace {

namespace vsock = abi::virtio::vsock;
using vsock::Operation;
constexpr VsockPorts outgoing{52, 1024};

std::string random_bytes(std::size_t size_bytes) {
    std::mt19937 random{12345};
    std::string bytes(size_bytes, '\0');
    std::ranges::generate(bytes, [&] { return static_cast<char>(random()); });
    return bytes;
}

struct Connected {
    explicit Connected(std::uint64_t features = abi::virtio::feature::version_1) {
        guest.features = features;
        guest.start_and_listen();
        peer = guest.connect_to(server, outgoing);
    }

    // The guest reads `count` bytes and says so.
    void consume(std::size_t count) {
        guest.fwd_cnt += static_cast<std::uint32_t>(count);
        guest.send(Operation::credit_update, outgoing);
    }
    // All payload that was heard; other packets are looked at for credit and requests.
    std::string take_payload() {
        std::string all;
        for (; !guest.heard.empty(); guest.heard.pop_front()) {
            const HeardPacket& packet = guest.heard.front();
            device_fwd_cnt = packet.header.fwd_cnt;
            all += packet.payload;
            requests += packet.header.op == Operation::credit_request ? 1 : 0;
            updates += packet.header.op == Operation::credit_update ? 1 : 0;
            resets += packet.header.op == Operation::rst ? 1 : 0;
        }
        return all;
    }

    void exchange_megabytes();

    VsockGuest guest;
    VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer;
    std::uint32_t device_fwd_cnt = 0;
    int requests = 0;
    int updates = 0;
    int resets = 0;
};

TEST_CASE_FIXTURE(Connected, "megabytes reach a guest that has little room") {
    const std::string all = random_bytes(4 << 20);
    std::string received;
    std::size_t written = 0;
    constexpr std::size_t room = 5000;
    guest.buf_alloc = room;
    guest.send(Operation::credit_update, outgoing);
    std::size_t held = 0;
    guest.until([&] {
        written += peer.write_some(std::string_view{all}.substr(written));
        const std::string now = take_payload();
        held += now.size();
        CHECK(held <= room);
        received += now;
        if (held > room / 2) {
            consume(held);
            held = 0;
        }
        return received.size() == all.size();
    });
    CHECK(received == all);
}

TEST_CASE_FIXTURE(Connected, "megabytes reach a host program that reads slowly") {
    const std::string all = random_bytes(4 << 20);
    std::string received;
    std::size_t sent = 0;
    guest.until([&] {
        take_payload();
        const std::size_t in_flight = sent - device_fwd_cnt;
        const std::size_t piece = std::min(
            {std::size_t{20'000}, all.size() - sent, backend::VsockBuffer::capacity - in_flight});
        if (piece != 0) {
            guest.send_bytes(outgoing, std::string_view{all}.substr(sent, piece));
            sent += piece;
        }
        received += peer.read(15'000);
        return received.size() == all.size();
    });
    CHECK(received == all);
    CHECK(updates > 0);
    CHECK(resets == 0);
}

TEST_CASE("data flows in both directions at once") {
    using namespace abi::virtio::feature;
    SUBCASE("plain") {
        Connected connected;
        connected.exchange_megabytes();
    }
    SUBCASE("with event indices") {
        Connected connected{version_1 | event_idx | indirect_desc};
        connected.exchange_megabytes();
    }
}

void Connected::exchange_megabytes() {
    const std::string all = random_bytes(2 << 20);
    std::string to_guest;
    std::string to_host;
    std::size_t sent = 0;
    std::size_t written = 0;
    guest.until([&] {
        written += peer.write_some(std::string_view{all}.substr(written, 30'000));
        const std::string now = take_payload();
        to_guest += now;
        guest.fwd_cnt += static_cast<std::uint32_t>(now.size());
        const std::size_t room = backend::VsockBuffer::capacity - (sent - device_fwd_cnt);
        const std::size_t piece = std::min({std::size_t{30'000}, all.size() - sent, room});
        if (piece != 0) {
            guest.send_bytes(outgoing, std::string_view{all}.substr(sent, piece));
            sent += piece;
        } else if (!now.empty()) {
            guest.send(Operation::credit_update, outgoing);
        }
        to_host += peer.read();
        return to_guest.size() == all.size() && to_host.size() == all.size();
    });
    CHECK(to_guest == all);
    CHECK(to_host == all);
}

// Sends until the device gives no more credit. What it took.
std::size_t fill_up(Connected& c) {
    const std::string piece(16 * 1024, 'x');
    std::size_t sent = 0;
    for (;;) {
        c.guest.settle();
        c.take_payload();
        if (sent - c.device_fwd_cnt + piece.size() > backend::VsockBuffer::capacity) {
            return sent;
        }
        c.guest.send_bytes(outgoing, piece);
        sent += piece.size();
    }
}

TEST_CASE_FIXTURE(Connected, "a host program that never reads holds up nobody else") {
    fill_up(*this);
    const VsockPorts other_ports{52, 2000};
    guest.send(Operation::request, other_ports);
    guest.expect(Operation::response);
    VsockPeer other = server.accept();
    guest.send_bytes(other_ports, "hello");
    CHECK(other.read() == "hello");
    guest.settle();
    CHECK_FALSE(guest.reactor.dispatch(0));  // and nothing turns in circles
}

TEST_CASE_FIXTURE(Connected, "what waits for a full socket is written before the guest's end") {
    const std::size_t sent = fill_up(*this);
    std::size_t received = 0;
    SUBCASE("it stops sending") {
        guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::send);
    }
    SUBCASE("it closes") {
        guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::both);
    }
    guest.settle();
    guest.until([&] {
        received += peer.read().size();
        return peer.is_at_end();
    });
    CHECK(received == sent);
}

TEST_CASE_FIXTURE(Connected, "a host program that vanishes while its socket is full") {
    fill_up(*this);
    peer.close();
    guest.expect(Operation::rst);  // it leaves bytes unread, as TCP has it
    CHECK(guest.device.connection_count() == 0);
    guest.send_bytes(outgoing, "into the void");
    guest.expect(Operation::rst);
}

TEST_CASE_FIXTURE(Connected, "a guest that sends more than it may is cut off") {
    fill_up(*this);
    guest.send_bytes(outgoing, std::string(backend::VsockBuffer::capacity, 'x'));
    guest.expect(Operation::rst);
    CHECK(guest.device.metrics().conns_killed == 1);
    CHECK(guest.device.connection_count() == 0);
    guest.settle();
    CHECK(guest.heard.empty());
}

TEST_CASE_FIXTURE(Connected, "a guest without room is asked once, and the host waits") {
    guest.buf_alloc = 10;
    guest.send(Operation::credit_update, outgoing);
    peer.write("0123456789abcdef");
    guest.settle();
    CHECK(take_payload() == "0123456789");
    CHECK(requests == 1);
    CHECK_FALSE(guest.reactor.dispatch(0));
    guest.send(Operation::credit_update, outgoing);  // but nothing new
    guest.settle();
    CHECK(take_payload().empty());
    CHECK(requests == 1);
    consume(4);
    guest.settle();
    CHECK(take_payload() == "abcd");
    CHECK(requests == 2);
    guest.fwd_cnt += 1000;  // more than it was sent: it has no room at all
    guest.send(Operation::credit_update, outgoing);
    guest.settle();
    CHECK(take_payload().empty());
}

TEST_CASE_FIXTURE(Connected, "a guest that asks is told its credit") {
    guest.send_bytes(outgoing, "12345");
    guest.send(Operation::credit_request, outgoing);
    const VsockGuest::Header update = guest.expect(Operation::credit_update).header;
    CHECK(update.fwd_cnt == 5);
    CHECK(update.buf_alloc == backend::VsockBuffer::capacity);
}

}  // namespace
}  // namespace shoal::virtio
