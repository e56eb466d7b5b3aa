// The random generator (RFC 8439's ChaCha20 block function; key erased after every request).
#include "guest/kernel/random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "guest/kernel/cpu.h"
#include "guest/kernel/generation.h"

namespace shoal::guest {
namespace {

using Block = std::array<std::uint32_t, 16>;

constinit std::array<std::uint32_t, 8> key{};
constinit bool seeded = false;

void quarter_round(Block& x, unsigned a, unsigned b, unsigned c, unsigned d) {
    x[a] += x[b];
    x[d] = std::rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = std::rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = std::rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = std::rotl(x[b] ^ x[c], 7);
}

Block chacha20(std::uint32_t counter) {
    Block start{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    std::memcpy(&start[4], key.data(), sizeof key);
    start[12] = counter;
    Block x = start;
    for (int round = 0; round < 10; ++round) {
        for (unsigned i = 0; i < 4; ++i) {
            quarter_round(x, i, 4 + i, 8 + i, 12 + i);
        }
        for (unsigned i = 0; i < 4; ++i) {
            quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
        }
    }
    for (unsigned i = 0; i < 16; ++i) {
        x[i] += start[i];
    }
    return x;
}

void replace_key() {
    const Block block = chacha20(0);
    std::memcpy(key.data(), block.data(), sizeof key);
}

bool hardware_random(std::uint64_t& value) {
    bool valid = false;
    for (int attempt = 0; attempt < 16 && !valid; ++attempt) {
        asm volatile("rdrand %0" : "=r"(value), "=@ccc"(valid));
    }
    return valid;
}

// RDRAND where the CPU has it; the jitter of memory and timer in any case.
void seed() {
    seeded = true;
    const bool has_rdrand = (cpuid(1).ecx & (1U << 30)) != 0;
    for (int round = 0; round < 8; ++round) {
        std::array<std::uint64_t, 8> words{};
        for (std::uint64_t& word : words) {
            if (!has_rdrand || !hardware_random(word)) {
                word = 0;
            }
            word ^= std::rotl(read_tsc(), 17);
        }
        add_entropy(std::as_bytes(std::span{words}));
    }
}

}  // namespace

void add_entropy(std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        std::array<std::uint32_t, 8> words{};
        const std::size_t count = std::min(bytes.size() - at, sizeof words);
        std::memcpy(words.data(), bytes.data() + at, count);
        for (unsigned i = 0; i < 8; ++i) {
            key[i] ^= words[i];
        }
        replace_key();
        at += count;
    }
}

void fill_random(std::span<std::byte> bytes) {
    if (!seeded) {
        seed();
    }
    if (was_loaded()) {
        note_load();
    }
    std::uint32_t counter = 1;
    for (std::size_t at = 0; at < bytes.size();) {
        const Block block = chacha20(counter++);
        const std::size_t count = std::min(bytes.size() - at, sizeof block);
        std::memcpy(bytes.data() + at, block.data(), count);
        at += count;
        if (counter == 0) {
            replace_key();
            counter = 1;
        }
    }
    replace_key();
}

}  // namespace shoal::guest
