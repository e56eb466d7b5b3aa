// Why a vCPU came back to us: a closed set, decoded from struct kvm_run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

namespace shoal::kvm {

// The guest reads or writes a port, `data` holding one or more accesses of `width` bytes. What is
// written into a read's data reaches the guest at the next run.
struct PortAccess {
    enum class Direction { in, out };
    Direction direction;
    std::uint16_t port;
    std::uint8_t width;
    std::span<std::byte> data;
};

struct MmioAccess {
    enum class Direction { read, write };
    Direction direction;
    std::uint64_t address;
    std::span<std::byte> data;  // 1 to 8 bytes
};

// The guest did what resets a PC: most often a triple fault.
struct Shutdown {};

// hlt without an interrupt chip in the kernel.
struct Halt {};

// A signal, or kick(): look around and run again.
struct Interrupted {};

// KVM itself cannot go on.
struct InternalError {
    std::uint32_t suberror;
    std::uint8_t instruction_size;  // 0: not known
    std::array<std::uint8_t, 15> instruction;
};

struct FailedEntry {
    std::uint64_t hardware_reason;
};

// An exit that nothing here can cause.
struct UnknownExit {
    std::uint32_t reason;
};

using Exit = std::variant<PortAccess, MmioAccess, Shutdown, Halt, Interrupted, InternalError,
                          FailedEntry, UnknownExit>;

}  // namespace shoal::kvm
