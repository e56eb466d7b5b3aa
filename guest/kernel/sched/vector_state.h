// The part of a thread's CPU state that the kernel leaves alone, and that changes with the thread:
// x87, SSE, AVX and AVX-512 registers, FS and GS base.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace shoal::guest {

// What XSAVE writes for the components that the nub enables (guest/nub/entry.S), in the standard
// format: AVX-512 ends at 2688 (Intel SDM 1, 13.5.6).
inline constexpr std::size_t vector_state_bytes = 2688;

struct alignas(64) VectorState {
    std::array<std::byte, vector_state_bytes> bytes;

    // As at a program's first instruction.
    void set_initial();
    void save();
    void restore() const;

    // For bytes that a program gave: false when they are no state that restore() accepts.
    [[nodiscard]] bool make_restorable();
};

// How many of the bytes the CPU uses.
[[nodiscard]] std::size_t used_vector_state_bytes();

// FS and GS base of the running thread.
[[nodiscard]] std::uint64_t fs_base();
void set_fs_base(std::uint64_t address);
[[nodiscard]] std::uint64_t gs_base();
void set_gs_base(std::uint64_t address);

}  // namespace shoal::guest
