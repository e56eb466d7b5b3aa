// What a driver asks of each device, from nearly right to nonsense.
#pragma once

#include <cstdint>

#include "tests/system/guests/hostile/arena.h"
#include "tests/system/guests/hostile/random.h"
#include "tests/system/guests/hostile/registers.h"

namespace hostile {

// The buffers of one chain.
struct Request {
    static constexpr std::uint32_t buffers_max = 4;

    struct Part {
        Buffer buffer;
        bool device_writes;
    };
    Part parts[buffers_max];
    std::uint32_t count = 0;

    void device_reads(Buffer buffer) { add({buffer, false}); }
    void device_writes(Buffer buffer) { add({buffer, true}); }

private:
    void add(Part part) {
        if (count < buffers_max) {
            parts[count++] = part;
        }
    }
};

// For one chain of this queue; the arena's header `slot` is the request's to fill.
struct Place {
    const Registers& registers;
    std::uint32_t queue;
    const Arena& arena;
    std::uint32_t slot;
};

Request make_request(Random& random, std::uint32_t device_id, const Place& place);

}  // namespace hostile
