// The configuration and the drives as sections.
#include "vmm/migration/hello.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "devices/backend/disk.h"
#include "vmm/state/config_fields.h"
#include "vmm/state/microvm_file.h"
#include "vmm/state/section.h"
#include "vmm/state/vcpu_fields.h"

namespace shoal::state {

template <>
struct Fields<migration::CopiedDrive> {
    using T = migration::CopiedDrive;
    static constexpr std::tuple list{&T::drive_id, &T::size_bytes};
};

template <>
struct Fields<migration::FurtherConnections> {
    using T = migration::FurtherConnections;
    static constexpr std::tuple list{&T::count, &T::token};
};

}  // namespace shoal::state

namespace shoal::migration {
namespace {

constexpr state::SectionId config_section{"config"};
constexpr state::SectionId drives_section{"copied_drives"};
constexpr state::SectionId connections_section{"connections"};
constexpr state::SectionId post_copy_section{"post_copy"};
constexpr state::SectionId cpu_section{"cpu"};

void require(bool is_right, const std::string& what) {
    if (!is_right) {
        throw state::StateError(what);
    }
}

void check(const Hello& hello) {
    require(hello.further.count < max_connections, "more than 8 connections");
    require(hello.cpu.size() <= kvm::max_cpuid_entries, "a CPU of more than 256 CPUID entries");
    require(!hello.is_post_copy || hello.further.count == 1,
            "a post-copy without a connection for what the guest waits for");
    for (const CopiedDrive& drive : hello.drives) {
        const auto has_its_id = [&](const auto& other) { return other.drive_id == drive.drive_id; };
        require(std::ranges::any_of(hello.config.drives, has_its_id),
                "a drive is to be copied that is not in the configuration");
        require(std::ranges::count_if(hello.drives, has_its_id) == 1,
                "a drive is to be copied twice");
        require(drive.size_bytes <= max_drive_bytes &&
                    drive.size_bytes % backend::Disk::sector_bytes == 0,
                "a drive is to be copied that is larger than 1 TiB, or not of whole sectors");
    }
}

}  // namespace

std::vector<std::byte> encode_hello(const Hello& hello) {
    state::SectionWriter writer;
    writer.add(config_section, hello.config);
    if (!hello.drives.empty()) {
        writer.add(drives_section, hello.drives);
    }
    if (hello.further.count > 0) {
        writer.add(connections_section, hello.further);
    }
    if (hello.is_post_copy) {
        writer.add(post_copy_section, hello.is_post_copy);
    }
    if (!hello.cpu.empty()) {
        writer.add(cpu_section, hello.cpu, state::Requirement::optional);
    }
    std::vector<std::byte> payload = writer.finish();
    if (payload.size() > max_hello_bytes) {
        throw std::runtime_error("the configuration has " + std::to_string(payload.size()) +
                                 " bytes, a migration takes " + std::to_string(max_hello_bytes));
    }
    return payload;
}

Hello decode_hello(std::span<const std::byte> payload) {
    state::SectionReader reader{payload};
    Hello hello;
    hello.config = reader.take<vmm::MicrovmConfig>(config_section);
    if (reader.has(drives_section)) {
        hello.drives = reader.take<std::vector<CopiedDrive>>(drives_section);
    }
    if (reader.has(connections_section)) {
        hello.further = reader.take<FurtherConnections>(connections_section);
    }
    hello.is_post_copy = reader.has(post_copy_section) && reader.take<bool>(post_copy_section);
    if (reader.has(cpu_section)) {
        hello.cpu = reader.take<kvm::CpuModel>(cpu_section);
    }
    reader.refuse_the_rest();
    state::check(hello.config);
    check(hello);
    return hello;
}

}  // namespace shoal::migration
