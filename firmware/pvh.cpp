// The PVH boot protocol's structures in guest memory.
#include "firmware/pvh.h"

#include "devices/abi/address_map.h"
#include "devices/abi/pvh.h"
#include "devices/host/check.h"
#include "firmware/memory_map.h"

namespace shoal::firmware {
namespace {

constexpr std::uint64_t modules_at = abi::pvh_start_info + 0x100;
constexpr std::uint64_t memory_map_at = abi::pvh_start_info + 0x200;

}  // namespace

void write_pvh_start_info(const machine::GuestMemory& memory, machine::Gpa command_line,
                          const std::optional<InitrdPlace>& initrd, machine::Gpa rsdp) {
    const auto map = make_memory_map(memory);
    abi::pvh::StartInfo info{};
    info.magic = abi::pvh::start_info_magic;
    info.version = abi::pvh::start_info_version;
    info.command_line = command_line.value();
    info.rsdp = rsdp.value();
    info.memory_map = memory_map_at;
    info.memory_map_count = static_cast<std::uint32_t>(map.size());
    if (initrd) {
        const abi::pvh::Module module{initrd->start.value(), initrd->size_bytes, 0, 0};
        info.module_count = 1;
        info.modules = modules_at;
        SHOAL_CHECK(memory.write(machine::Gpa{modules_at}, module));
    }
    SHOAL_CHECK(memory.write_bytes(machine::Gpa{memory_map_at}, std::as_bytes(std::span{map})));
    SHOAL_CHECK(memory.write(machine::Gpa{abi::pvh_start_info}, info));
}

}  // namespace shoal::firmware
