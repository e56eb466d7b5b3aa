// By SSE 4.2's instruction, at some 8 bytes in 3 cycles; where there is none, by Boost's table.
#include "devices/host/crc32c.h"

#include <cpuid.h>
#include <nmmintrin.h>

#include <boost/crc.hpp>
#include <cstring>

namespace shoal::host {
namespace {

__attribute__((target("sse4.2"))) std::uint32_t add(std::uint32_t crc,
                                                    std::span<const std::byte> bytes) noexcept {
    std::uint64_t wide = crc;
    while (bytes.size() >= sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), sizeof word);
        wide = _mm_crc32_u64(wide, word);
        bytes = bytes.subspan(sizeof word);
    }
    auto narrow = static_cast<std::uint32_t>(wide);
    for (const std::byte byte : bytes) {
        narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(byte));
    }
    return narrow;
}

// Not __builtin_cpu_supports(): that asks the CPU some ten questions at every process's start.
bool find_instruction() noexcept {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_SSE4_2) != 0;
}

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::byte> first,
                              std::span<const std::byte> second) noexcept {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(first.data(), first.size());
    crc.process_bytes(second.data(), second.size());
    return crc.checksum();
}

std::uint32_t crc32c(std::span<const std::byte> first, std::span<const std::byte> second) noexcept {
    static const bool has_instruction = find_instruction();
    if (!has_instruction) {
        return crc32c_by_table(first, second);
    }
    return ~add(add(0xFFFFFFFF, first), second);
}

}  // namespace shoal::host
