// What /proc tells.
#include "guest/kernel/proc_source.h"

#include <algorithm>
#include <array>

#include "guest/kernel/clock.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/system_name.h"

namespace shoal::guest {
namespace {

void write_strings(Text& to, const std::vector<std::string_view>& strings) {
    for (const std::string_view text : strings) {
        to.add(text).add(std::string_view{"\0", 1});
    }
}

std::string_view name_of(AreaKind kind) {
    switch (kind) {
        case AreaKind::heap:
            return "[heap]";
        case AreaKind::stack:
            return "[stack]";
        case AreaKind::stubs:
            return "[syscalls]";
        case AreaKind::mapping:
            break;
    }
    return {};
}

void write_area(Text& to, const Area& area) {
    constexpr std::size_t name_column = 73;
    std::vector<char> bytes;
    Text line{bytes};
    line.add_hex(area.start, 8).add("-").add_hex(area.end, 8).add(" ");
    line.add((area.protection & prot_read) != 0 ? "r" : "-");
    line.add((area.protection & prot_write) != 0 ? "w" : "-");
    line.add((area.protection & prot_execute) != 0 ? "x" : "-");
    line.add("p ").add_hex(area.file_offset, 8).add(" 00:01 ");
    line.add_number(area.file ? area.file->inode().attributes.number : 0).add(" ");
    std::array<char, 4096> room{};
    const auto path = area.file ? process().files.file_system.path_of(*area.file, room)
                                : Result<std::string_view>{name_of(area.kind)};
    if (path && !path->empty()) {
        bytes.resize(std::max(bytes.size(), name_column), ' ');
        line.add(*path);
    }
    to.add({bytes.data(), bytes.size()}).add("\n");
}

}  // namespace

std::uint32_t KernelProcSource::pid() const {
    return first_process_id;
}

std::uint32_t KernelProcSource::cpu_count() const {
    return guest::cpu_count();
}

EntryRef KernelProcSource::executable() const {
    return process().executable;
}

EntryRef KernelProcSource::working_directory() const {
    return process().files.working_directory;
}

void KernelProcSource::write_arguments(Text& to) const {
    write_strings(to, process().arguments);
}

void KernelProcSource::write_environment(Text& to) const {
    write_strings(to, process().environment);
}

void KernelProcSource::write_auxiliary_vector(Text& to) const {
    const auto bytes = process().memory->auxiliary_vector();
    to.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void KernelProcSource::write_maps(Text& to) const {
    for (const Area& area : process().memory->areas()) {
        write_area(to, area);
    }
}

std::uint64_t KernelProcSource::memory_total_bytes() const {
    return physical_memory.total_bytes();
}

std::uint64_t KernelProcSource::memory_free_bytes() const {
    return physical_memory.free_bytes();
}

std::uint64_t KernelProcSource::process_memory_bytes() const {
    std::uint64_t bytes = 0;
    for (const Area& area : process().memory->areas()) {
        bytes += area.end - area.start;
    }
    return bytes;
}

std::uint64_t KernelProcSource::resident_memory_bytes() const {
    return process().memory->resident_bytes();
}

std::uint64_t KernelProcSource::uptime_ms() const {
    return monotonic_ns() / 1'000'000;
}

std::uint64_t KernelProcSource::tsc_khz() const {
    return tsc_frequency_khz();
}

std::string_view KernelProcSource::release() const {
    return system_release;
}

std::string_view KernelProcSource::version() const {
    return system_version;
}

}  // namespace shoal::guest
