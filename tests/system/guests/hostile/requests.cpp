// Requests device by device.
#include "tests/system/guests/hostile/requests.h"

#include "devices/abi/virtio_block.h"
#include "devices/abi/virtio_console.h"
#include "devices/abi/virtio_net.h"
#include "devices/abi/virtio_vsock.h"

namespace hostile {
namespace {

namespace block = shoal::abi::virtio::block;
namespace net = shoal::abi::virtio::net;
namespace vsock = shoal::abi::virtio::vsock;
namespace console = shoal::abi::virtio::console;
namespace device_id = shoal::abi::virtio::device_id;

Buffer some_data(Random& random, const Arena& arena) {
    const std::uint32_t sizes[] = {1, 64, 512, 4096, 1526, 65536, 1 + random.below(65536)};
    return {arena.data(), random.pick(sizes)};
}

Request device_writes_some(Random& random, const Place& place) {
    Request request;
    request.device_writes(some_data(random, place.arena));
    return request;
}

Request device_reads_some(Random& random, const Place& place) {
    Request request;
    request.device_reads(some_data(random, place.arena));
    return request;
}

Request block_request(Random& random, const Place& place) {
    const auto capacity = place.registers.read_config<std::uint64_t>(0);
    const std::uint32_t types[] = {0, 0, 1, 1, 4, 8, 11, 13, 2, 99, 0xFFFF'FFFF};
    const std::uint32_t sizes[] = {512, 4096, 4096, 65536, 1 + random.below(65536)};
    const Buffer data{place.arena.data(), random.pick(sizes)};
    const std::uint64_t sectors[] = {0,          1,
                                     8,          16,
                                     1000,       capacity - 1,
                                     capacity,   capacity + 1,
                                     ~0ULL,      1ULL << 55,
                                     1ULL << 63, random.below(8192)};
    const auto type = static_cast<block::RequestType>(random.pick(types));
    auto* const header = at<block::RequestHeader>(place.arena.header(place.slot));
    *header = {type, random.next32(), random.pick(sectors)};
    Request request;
    request.device_reads({place.arena.header(place.slot), sizeof *header});
    if (type == block::RequestType::discard || type == block::RequestType::write_zeroes) {
        const std::uint32_t counts[] = {0, 1, static_cast<std::uint32_t>(capacity), 0xFFFF'FFFF};
        auto* const range = at<block::Range>(place.arena.data());
        *range = {random.pick(sectors), random.pick(counts), random.below(3)};
        request.device_reads({place.arena.data(), random.one_in(4) ? random.below(4096)
                                                                   : std::uint32_t{sizeof *range}});
    } else if (type == block::RequestType::out) {
        request.device_reads(data);
    } else {
        request.device_writes(data);
    }
    request.device_writes({place.arena.header(place.slot) + sizeof *header, 1});
    return request;
}

vsock::Header vsock_header(Random& random, const Place& place, std::uint32_t payload_bytes) {
    const auto guest_cid = place.registers.read_config<std::uint64_t>(0);
    const std::uint64_t cids[] = {guest_cid, vsock::host_cid, 0, 1, ~0ULL, 0x1'0000'0002};
    const std::uint32_t ports[] = {1000, 1001, 1002, random.next32()};
    const std::uint32_t host_ports[] = {52, 52, 53, 0xFFFF'FFFF};
    const std::uint32_t sizes[] = {payload_bytes, payload_bytes, payload_bytes, 0,
                                   65536,         0xFFFF'FFFF};
    const std::uint32_t credits[] = {0, 0, 1, 65536, 1U << 20, 0xFFFF'FFFF};
    const std::uint16_t operations[] = {1, 1, 1, 5, 5, 5, 6, 7, 2, 3, 4, 0, 8};
    const bool wild = random.one_in(4);
    return {vsock::Cid::of(wild ? random.pick(cids) : guest_cid),
            vsock::Cid::of(wild ? random.pick(cids) : vsock::host_cid),
            random.pick(ports),
            random.pick(host_ports),
            random.pick(sizes),
            static_cast<vsock::Type>(random.one_in(8) ? random.next16() : 1),
            static_cast<vsock::Operation>(random.pick(operations)),
            random.one_in(2) ? random.below(4) : random.next32(),
            random.pick(credits),
            random.pick(credits)};
}

Request vsock_request(Random& random, const Place& place) {
    Request request;
    if (place.queue != vsock::transmit_queue) {
        request.device_writes({place.arena.header(place.slot), sizeof(vsock::Header)});
        request.device_writes(some_data(random, place.arena));
        return request;
    }
    const Buffer payload = some_data(random, place.arena);
    *at<vsock::Header>(place.arena.header(place.slot)) =
        vsock_header(random, place, payload.size_bytes);
    request.device_reads({place.arena.header(place.slot), sizeof(vsock::Header)});
    request.device_reads(payload);
    return request;
}

Request net_request(Random& random, const Place& place) {
    Request request;
    if (place.queue == net::receive_queue) {
        request.device_writes({place.arena.data() + 2048 * (place.slot % 16), 2048});
        return request;
    }
    const std::uint8_t gso_types[] = {0, 1, 3, 4, 5, 0x81, 0xFF};
    const Buffer frame = some_data(random, place.arena);
    auto* const header = at<net::Header>(place.arena.header(place.slot));
    *header = {};
    if (random.one_in(2)) {
        *header = {static_cast<std::uint8_t>(random.next16()),
                   random.pick(gso_types),
                   random.next16(),
                   random.next16(),
                   random.next16(),
                   random.next16(),
                   random.next16()};
    }
    // From itself: a frame that names another sender is not sent.
    store(frame.address + 6, place.registers.read_config<std::uint32_t>(0));
    store(frame.address + 10, place.registers.read_config<std::uint16_t>(4));
    request.device_reads({place.arena.header(place.slot), sizeof *header});
    request.device_reads(frame);
    return request;
}

Request balloon_request(Random& random, const Place& place) {
    constexpr std::uint32_t count = 16;
    auto* const pages = at<std::uint32_t>(place.arena.header(place.slot));
    for (std::uint32_t idx = 0; idx < count; ++idx) {
        const auto page = wild_address(random, place.arena) >> 12;
        pages[idx] = static_cast<std::uint32_t>(page);
    }
    const std::uint32_t sizes[] = {4 * count, 4 * count, 4, 3, 10};
    const Buffer buffer{place.arena.header(place.slot), random.pick(sizes)};
    Request request;
    // The first queues take arrays of numbers; the others hints, and memory that is free.
    if (place.queue < 2 || random.one_in(2)) {
        *pages = random.one_in(2) ? *pages : random.below(4);
        request.device_reads(buffer);
    } else {
        request.device_writes(some_data(random, place.arena));
        request.device_writes({wild_address(random, place.arena) & ~0xFFFULL, wild_size(random)});
    }
    return request;
}

// Ports that are there, the first one that is not, and others.
Request console_request(Random& random, const Place& place) {
    Request request;
    if (place.queue != console::control_transmit_queue) {
        return place.queue % 2 == 0 ? device_writes_some(random, place)
                                    : device_reads_some(random, place);
    }
    const std::uint32_t ports[] = {0, 0, 1, 1, 2, 8, 0xFFFF'FFFF, random.next32()};
    const std::uint16_t events[] = {0, 0, 3, 3, 6, 6, 6, 1, 7, random.next16()};
    const std::uint16_t values[] = {0, 1, 1, 1, random.next16()};
    *at<console::Control>(place.arena.header(place.slot)) = {
        random.pick(ports), static_cast<console::Event>(random.pick(events)), random.pick(values)};
    const std::uint32_t sizes[] = {8, 8, 8, 7, 9, 1, 64};
    request.device_reads({place.arena.header(place.slot), random.pick(sizes)});
    return request;
}

Request any_request(Random& random, const Place& place) {
    Request request;
    if (random.one_in(4)) {
        request.device_reads(some_data(random, place.arena));
    }
    request.device_writes(some_data(random, place.arena));
    return request;
}

Request well_formed(Random& random, std::uint32_t id, const Place& place) {
    switch (id) {
        case device_id::block:
            return block_request(random, place);
        case device_id::vsock:
            return vsock_request(random, place);
        case device_id::network:
            return net_request(random, place);
        case device_id::console:
            return console_request(random, place);
        case device_id::balloon:
            return balloon_request(random, place);
        default:
            return any_request(random, place);
    }
}

// A buffer too few, in the wrong direction, or of a single byte.
void distort(Random& random, Request& request) {
    const std::uint32_t victim = random.below(request.count);
    switch (random.below(3)) {
        case 0:
            request.count = request.count > 1 ? request.count - 1 : 1;
            break;
        case 1:
            request.parts[victim].device_writes = !request.parts[victim].device_writes;
            break;
        default:
            request.parts[victim].buffer.size_bytes = 1;
            break;
    }
}

}  // namespace

Request make_request(Random& random, std::uint32_t id, const Place& place) {
    Request request = well_formed(random, id, place);
    if (random.one_in(12)) {
        distort(random, request);
    }
    return request;
}

}  // namespace hostile
