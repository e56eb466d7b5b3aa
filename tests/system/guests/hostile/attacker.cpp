// The rounds of an attack: set up, fill the rings, spoil them, notify, and meddle meanwhile.
#include "tests/system/guests/hostile/attacker.h"

#include "tests/system/guests/hostile/platform.h"

namespace hostile {

using shoal::abi::virtio::Descriptor;
namespace descriptor_flag = shoal::abi::virtio::descriptor_flag;

namespace {

std::uint16_t* avail_idx(const Arena& arena) {
    return at<std::uint16_t>(arena.avail() + shoal::abi::virtio::avail_idx_offset);
}

std::uint16_t& avail_entry(const Arena& arena, std::uint32_t size, std::uint32_t idx) {
    const std::uint64_t entry = idx & (size - 1);  // a size is a power of two, or the ring is lost
    return *at<std::uint16_t>(arena.avail() + shoal::abi::virtio::avail_ring_offset + 2 * entry);
}

Descriptor* descriptor(const Arena& arena, std::uint32_t idx) {
    return at<Descriptor>(arena.descriptors()) + idx % Arena::descriptors_max;
}

}  // namespace

void Attacker::round() {
    using shoal::abi::virtio_mmio_size;
    using shoal::abi::virtio_mmio_start;
    const std::uint32_t idx = random_.below(device_count_);
    const Registers registers{virtio_mmio_start + idx * virtio_mmio_size};
    const Device device{registers, idx, registers.read(Register::device_id)};
    rings_ = random_.one_in(2) ? Rings::right : Rings::broken;
    // Now and then the device goes on with what it has.
    if (!random_.one_in(4)) {
        set_up(device);
    }
    for (std::uint32_t queue = 0; queue < queues_max; ++queue) {
        fill(device, ring(device, queue));
    }
    notify_all(device);
    switch (random_.below(10)) {
        case 0:
        case 1:
        case 2:
            wait_for_something(device);
            break;
        case 3:
            write_anything(device);
            break;
        case 4:
            write_odd_width(device);
            break;
        case 5:
            change_status(device);
            break;
        case 6:
            read_everything(device);
            break;
        case 7:
            attack_platform(random_);
            break;
        case 8:
            stop_a_queue(device);
            break;
        default:  // in mid-flight
            registers.write(Register::status, 0);
            break;
    }
}

Attacker::Ring Attacker::ring(const Device& device, std::uint32_t queue) {
    const std::uint32_t size = 8U << (device.idx + queue) % 3 * 2;
    Arena arena = Arena::of(vcpu_, device.idx, queue);
    if ((device.idx + queue + vcpu_) % 4 == 3) {
        arena.move_descriptors_to_end(size);
    }
    return {queue, arena, size};
}

void Attacker::set_up(const Device& device) {
    const Registers& registers = device.registers;
    registers.write(Register::status, 0);
    registers.write(Register::status, status::acknowledge);
    registers.write(Register::status, status::acknowledge | status::driver);
    for (std::uint32_t half = 0; half < 2; ++half) {
        registers.write(Register::device_features_select, half);
        registers.write(Register::driver_features_select, half);
        std::uint32_t features = registers.read(Register::device_features);
        if (rings_ == Rings::broken && random_.one_in(2)) {
            features &= random_.next32() | half;  // VERSION_1 is bit 0 of the upper half
        }
        registers.write(Register::driver_features, features);
    }
    constexpr std::uint32_t negotiated = status::acknowledge | status::driver | status::features_ok;
    registers.write(Register::status, negotiated);
    for (std::uint32_t queue = 0; queue < queues_max; ++queue) {
        set_up_queue(device, ring(device, queue));
    }
    registers.write(Register::status, negotiated | status::driver_ok);
}

void Attacker::set_up_queue(const Device& device, const Ring& ring) {
    const Registers& registers = device.registers;
    const bool wild = rings_ == Rings::broken && random_.one_in(8);
    const std::uint32_t sizes[] = {0, 1, 2, 3, 256, 512, 32768, 65536, 0xFFFF'FFFF};
    const auto address = [this, wild, &ring](std::uint64_t legal) {
        return wild && random_.one_in(3) ? wild_address(random_, ring.arena) : legal;
    };
    *avail_idx(ring.arena) = 0;
    *at<std::uint32_t>(ring.arena.used()) = 0;
    registers.write(Register::queue_select, ring.queue);
    registers.write(Register::queue_size,
                    wild && random_.one_in(3) ? random_.pick(sizes) : ring.size);
    registers.write_address(Register::queue_descriptors_low, address(ring.arena.descriptors()));
    registers.write_address(Register::queue_driver_low, address(ring.arena.avail()));
    registers.write_address(Register::queue_device_low, address(ring.arena.used()));
    registers.write(Register::queue_ready, wild && random_.one_in(4) ? random_.next32() : 1);
}

// In mid-flight, by this register or that one; and perhaps it begins again, filled.
void Attacker::stop_a_queue(const Device& device) {
    const Ring chosen = ring(device, random_.below(queues_max));
    device.registers.write(Register::queue_select, chosen.queue);
    if (random_.one_in(2)) {
        device.registers.write(Register::queue_ready, 0);
    } else {
        device.registers.write(Register::queue_reset, 1);
    }
    (void)device.registers.read(Register::queue_ready);
    if (random_.one_in(2)) {
        set_up_queue(device, chosen);
        fill(device, chosen);
    }
    notify_all(device);
}

void Attacker::fill(const Device& device, const Ring& ring) {
    const std::uint32_t chains = 1 + random_.below(4);
    std::uint16_t idx = *avail_idx(ring.arena);
    std::uint32_t next_free = random_.below(4);
    for (std::uint32_t chain = 0; chain < chains; ++chain) {
        const Request request =
            make_request(random_, device.id, {device.registers, ring.queue, ring.arena, idx % 64U});
        avail_entry(ring.arena, ring.size, idx++) = static_cast<std::uint16_t>(next_free);
        next_free = write_chain(ring, next_free, request);
    }
    if (rings_ == Rings::broken && random_.one_in(3)) {
        spoil(ring);
        idx = random_.one_in(4) ? random_.next16() : idx;
    }
    if (rings_ == Rings::right && random_.one_in(4)) {
        idx = flood(ring);
    }
    *avail_idx(ring.arena) = idx;
}

// All that the ring holds, and always the same request. The new avail index.
std::uint16_t Attacker::flood(const Ring& ring) {
    const std::uint16_t used_idx = *at<volatile std::uint16_t>(ring.arena.used() + 2);
    for (std::uint32_t idx = 0; idx < ring.size; ++idx) {
        avail_entry(ring.arena, ring.size, idx) = avail_entry(ring.arena, ring.size, used_idx);
    }
    return static_cast<std::uint16_t>(used_idx + ring.size);
}

std::uint32_t Attacker::write_chain(const Ring& ring, std::uint32_t next_free,
                                    const Request& request) {
    std::uint32_t idx = next_free;
    for (std::uint32_t part = 0; part < request.count; ++part) {
        const auto& [buffer, device_writes] = request.parts[part];
        const std::uint32_t next = (idx + 1) % ring.size;
        const bool has_next = part + 1 < request.count;
        const Buffer safe = without_image(buffer);
        *descriptor(ring.arena, idx) = {
            safe.address, safe.size_bytes,
            static_cast<std::uint16_t>((has_next ? descriptor_flag::next : 0) |
                                       (device_writes ? descriptor_flag::write : 0)),
            static_cast<std::uint16_t>(next)};
        idx = next;
    }
    return idx;
}

// One thing about the rings becomes what no driver does.
void Attacker::spoil(const Ring& ring) {
    Descriptor& victim = *descriptor(ring.arena, random_.below(8));
    Buffer buffer{victim.address, victim.size_bytes};
    switch (random_.below(8)) {
        case 0:
            buffer.address = wild_address(random_, ring.arena);
            break;
        case 1:
            buffer.size_bytes = wild_size(random_);
            break;
        case 2:
            victim.flags = random_.next16();
            break;
        case 3:
            victim.next = random_.next16();
            victim.flags |= descriptor_flag::next;
            break;
        case 4:  // a chain without an end, through the whole table
            for (std::uint32_t idx = 0; idx < ring.size; ++idx) {
                descriptor(ring.arena, idx)->flags |= descriptor_flag::next;
                descriptor(ring.arena, idx)->next =
                    static_cast<std::uint16_t>((idx + 1) % ring.size);
            }
            return;
        case 5:
            make_indirect(ring);
            return;
        case 6:  // no such descriptor
            avail_entry(ring.arena, ring.size, random_.below(ring.size)) = random_.next16();
            return;
        default:  // the same chain over and over
            for (std::uint32_t idx = 0; idx < ring.size; ++idx) {
                avail_entry(ring.arena, ring.size, idx) = 0;
            }
            return;
    }
    buffer = without_image(buffer);
    victim.address = buffer.address;
    victim.size_bytes = buffer.size_bytes;
}

// A table of what the direct descriptors say, sometimes misaligned, elsewhere, or inside itself.
void Attacker::make_indirect(const Ring& ring) {
    const std::uint64_t places[] = {ring.arena.indirect(), ring.arena.indirect(),
                                    ring.arena.indirect() + 8, ring.arena.descriptors(),
                                    wild_address(random_, ring.arena)};
    const std::uint32_t sizes[] = {16, 32, 64, 64, 0, 15, 4096, 0xFFFF'FFF0};
    for (std::uint32_t idx = 0; idx < 4; ++idx) {
        at<Descriptor>(ring.arena.indirect())[idx] = *descriptor(ring.arena, idx);
        at<Descriptor>(ring.arena.indirect())[idx].next = static_cast<std::uint16_t>(idx + 1);
    }
    const std::uint16_t flags[] = {descriptor_flag::indirect, descriptor_flag::indirect,
                                   descriptor_flag::indirect | descriptor_flag::next,
                                   descriptor_flag::indirect | descriptor_flag::write};
    const Descriptor table{random_.pick(places), random_.pick(sizes), random_.pick(flags), 0};
    *descriptor(ring.arena, random_.below(4)) = table;
    if (random_.one_in(4)) {
        at<Descriptor>(ring.arena.indirect())[1] = table;  // a table in a table
    }
}

void Attacker::notify_all(const Device& device) {
    for (std::uint32_t queue = 0; queue < queues_max; ++queue) {
        device.registers.write(Register::queue_notify, queue);
    }
    if (random_.one_in(4)) {
        device.registers.write(Register::queue_notify, random_.next32());
    }
}

// For a moment: whether the device ever answers is its affair.
void Attacker::wait_for_something(const Device& device) {
    for (std::uint32_t attempt = 0; attempt < 50; ++attempt) {
        const std::uint32_t reasons = device.registers.read(Register::interrupt_status);
        if (reasons != 0) {
            device.registers.write(Register::interrupt_acknowledge, reasons);
            return;
        }
    }
}

void Attacker::write_anything(const Device& device) {
    for (std::uint32_t count = 0; count < 8; ++count) {
        const std::uint64_t offset = random_.below(0x110) & ~3U;
        store(device.registers.start() + offset, random_.next32());
    }
}

// No access crosses into the next page: the next device's turn comes by itself.
void Attacker::write_odd_width(const Device& device) {
    const std::uint64_t address = device.registers.start() + random_.below(0x1000 - 8);
    store(address, static_cast<std::uint8_t>(random_.next16()));
    store(address, random_.next16());
    store(address, random_.next());
    (void)load<std::uint8_t>(address);
    (void)load<std::uint16_t>(address);
    (void)load<std::uint64_t>(address);
}

void Attacker::change_status(const Device& device) {
    for (std::uint32_t count = 0; count < 4; ++count) {
        device.registers.write(Register::status, 1U << random_.below(32) | random_.below(256));
    }
}

void Attacker::read_everything(const Device& device) {
    for (std::uint64_t offset = 0; offset < 0x180; offset += 4) {
        (void)load<std::uint32_t>(device.registers.start() + offset);
    }
    device.registers.write_config(random_.below(64), random_.next32());
}

}  // namespace hostile
