// The PVH boot protocol's structures: what a guest finds at hvm_start_info.
//
// Source: Xen's public/arch-x86/hvm/start_info.h (version 1). Addresses are guest-physical. A guest
// enters in 32-bit protected mode without paging, ebx pointing at StartInfo.
#pragma once

#include <cstdint>

namespace shoal::abi::pvh {

inline constexpr std::uint32_t start_info_magic = 0x336E'C578;
inline constexpr std::uint32_t start_info_version = 1;

struct StartInfo {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t flags;
    std::uint32_t module_count;
    std::uint64_t modules;       // Module[module_count]
    std::uint64_t command_line;  // NUL-terminated
    std::uint64_t rsdp;
    std::uint64_t memory_map;  // MemoryMapEntry[memory_map_count]; version 1 on
    std::uint32_t memory_map_count;
    std::uint32_t reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
    std::uint64_t start;
    std::uint64_t size_bytes;
    std::uint64_t command_line;
    std::uint64_t reserved;
};
static_assert(sizeof(Module) == 32);

// Types as in the ACPI specification's address ranges (E820).
enum class MemoryType : std::uint32_t {
    ram = 1,
    reserved = 2,
    acpi = 3,
};

struct MemoryMapEntry {
    std::uint64_t start;
    std::uint64_t size_bytes;
    MemoryType type;
    std::uint32_t reserved;
};
static_assert(sizeof(MemoryMapEntry) == 24);

}  // namespace shoal::abi::pvh
