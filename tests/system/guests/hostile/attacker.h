// Attacker: one vCPU's malicious driver of one device after the other.
//
// Two of them may attack the same device at once; each has rings of its own.
#pragma once

#include <cstdint>

#include "tests/system/guests/hostile/arena.h"
#include "tests/system/guests/hostile/random.h"
#include "tests/system/guests/hostile/registers.h"
#include "tests/system/guests/hostile/requests.h"

namespace hostile {

class Attacker {
public:
    Attacker(std::uint32_t vcpu, std::uint64_t seed, std::uint32_t device_count)
        : vcpu_{vcpu}, random_{seed}, device_count_{device_count} {}

    // A device is set up, mostly by the book, and then mistreated.
    void round();

private:
    struct Device {
        Registers registers;
        std::uint32_t idx;
        std::uint32_t id;
    };
    // Everything of one queue that a round needs.
    struct Ring {
        std::uint32_t queue;
        Arena arena;
        std::uint32_t size;
    };
    static constexpr std::uint32_t queues_max = 6;
    // A device that has seen a broken ring does nothing until it is reset: in half of the rounds
    // the rings are right and only what they carry is wrong.
    enum class Rings { right, broken };

    [[nodiscard]] Ring ring(const Device& device, std::uint32_t queue);

    void set_up(const Device& device);
    void set_up_queue(const Device& device, const Ring& ring);
    void stop_a_queue(const Device& device);
    void fill(const Device& device, const Ring& ring);
    std::uint32_t write_chain(const Ring& ring, std::uint32_t next_free, const Request& request);
    std::uint16_t flood(const Ring& ring);
    void spoil(const Ring& ring);
    void make_indirect(const Ring& ring);
    void notify_all(const Device& device);
    void wait_for_something(const Device& device);
    void write_anything(const Device& device);
    void write_odd_width(const Device& device);
    void change_status(const Device& device);
    void read_everything(const Device& device);

    std::uint32_t vcpu_;
    Random random_;
    std::uint32_t device_count_;
    Rings rings_ = Rings::right;
};

}  // namespace hostile
