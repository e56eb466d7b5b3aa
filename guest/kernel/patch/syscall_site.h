// SyscallSite: how one `syscall` instruction of a program becomes a jump to the kernel.
//
// On a KVM backend without hardware virtualization a `syscall` costs 20 us, since the hypervisor
// has to look at it; a jump within ring 3 costs nothing. So the site
//
//     syscall; next                becomes      jmp stub; <rest of next>
//
// where `next` is one instruction of 3 bytes or more that means the same anywhere, and the stub is
//
//     lea rcx, after; jmp kernel;  after: next; jmp behind_next
//
// rcx is what `syscall` leaves there, the address to continue at. A program may also jump to
// `next` itself. That is the third byte of the jump, and it is int3 always: stubs are placed so
// that the distance to them has 0xCC there. The kernel then continues at `after`.
//
// Pure computation, no memory is touched: the unit tests run it on the host.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace shoal::guest {

inline constexpr std::size_t syscall_bytes = 2;
inline constexpr std::size_t site_bytes = 5;  // jmp rel32
inline constexpr std::size_t stub_bytes = 48;

// Where stubs may lie: between the usual places of relocated programs and the heap (nub.h).
inline constexpr std::uint64_t stubs_start = 0x1C00'0000;
inline constexpr std::uint64_t stubs_end = 0x2000'0000;

constexpr bool is_stub_address(std::uint64_t address) {
    return address >= stubs_start && address < stubs_end;
}

// The length of the instruction that `code` starts with, if it works the same anywhere, has no
// memory operand that could fault and does not branch; 0 otherwise, or if it has fewer than 3
// bytes.
[[nodiscard]] std::size_t relocatable_length(std::span<const std::uint8_t> code);

// The stub addresses for the syscall at `site`, first to last, are place(site, 0), place(site,
// 1)... Empty when there are no more. All are multiples of 16.
[[nodiscard]] std::optional<std::uint64_t> stub_place(std::uint64_t site, unsigned number);

// The bytes to put at the site.
[[nodiscard]] std::array<std::uint8_t, site_bytes> site_code(std::uint64_t site,
                                                             std::uint64_t stub);

// Where a jump to `next` has to go.
[[nodiscard]] constexpr std::uint64_t after_of(std::uint64_t stub) {
    return stub + 13;
}

// The stub's bytes. `next` is the instruction behind the syscall, relocatable_length() of it at
// most stub_bytes - 26.
[[nodiscard]] std::array<std::uint8_t, stub_bytes> stub_code(std::uint64_t site, std::uint64_t stub,
                                                             std::span<const std::uint8_t> next,
                                                             std::uint64_t kernel_entry);

}  // namespace shoal::guest
