// What /proc tells.
#include "guest/kernel/proc_source.h"

#include <algorithm>
#include <array>

#include "guest/kernel/clock.h"
#include "guest/kernel/process.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/cpu_time.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/system_name.h"
#include "guest/net/net.h"

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
    line.add(area.is_shared ? "s " : "p ").add_hex(area.file_offset, 8).add(" 00:01 ");
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

constinit KernelProcSource* shown = nullptr;

}  // namespace

void show_processes(KernelProcSource& source) {
    shown = &source;
}

// Without memory it just has no folder.
void show_process(const Process& process) {
    if (shown != nullptr) {
        static_cast<void>(add_proc_process(process.files.file_system, *shown,
                                           static_cast<std::uint32_t>(process.id)));
    }
}

void hide_process(const Process& process) {
    if (shown != nullptr) {
        remove_proc_process(process.files.file_system, static_cast<std::uint32_t>(process.id));
    }
}

bool KernelProcSource::look_at(std::uint32_t pid) {
    subject_ = pid == 0 ? &process() : find_process(static_cast<int>(pid));
    return subject_ != nullptr;
}

std::uint32_t KernelProcSource::pid() const {
    return static_cast<std::uint32_t>(subject_->id);
}

std::uint32_t KernelProcSource::parent_pid() const {
    return subject_->parent == nullptr ? 0 : static_cast<std::uint32_t>(subject_->parent->id);
}

std::uint32_t KernelProcSource::group() const {
    return static_cast<std::uint32_t>(subject_->group);
}

std::uint32_t KernelProcSource::session() const {
    return static_cast<std::uint32_t>(subject_->session);
}

std::uint32_t KernelProcSource::thread_count() const {
    std::uint32_t count = 0;
    for (const Thread* thread = subject_->threads.first(); thread != nullptr;
         thread = subject_->threads.behind(*thread)) {
        ++count;
    }
    return count;
}

char KernelProcSource::state() const {
    return subject_->state == Process::State::ended ? 'Z' : subject_ == &process() ? 'R' : 'S';
}

// nullptr when it has ended.
const ProgramMemory* KernelProcSource::memory() const {
    return subject_->memory ? &*subject_->memory : nullptr;
}

FileTable& KernelProcSource::files() const {
    return subject_->files.table;
}

std::uint32_t KernelProcSource::cpu_count() const {
    return guest::cpu_count();
}

EntryRef KernelProcSource::executable() const {
    return subject_->executable;
}

EntryRef KernelProcSource::working_directory() const {
    return subject_->files.working_directory;
}

void KernelProcSource::write_arguments(Text& to) const {
    write_strings(to, subject_->arguments);
}

void KernelProcSource::write_environment(Text& to) const {
    write_strings(to, subject_->environment);
}

void KernelProcSource::write_auxiliary_vector(Text& to) const {
    if (const ProgramMemory* of = memory()) {
        const auto bytes = of->auxiliary_vector();
        to.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
}

void KernelProcSource::write_maps(Text& to) const {
    if (const ProgramMemory* of = memory()) {
        for (const Area& area : of->areas()) {
            write_area(to, area);
        }
    }
}

void KernelProcSource::write_name_servers(Text& to) const {
    for (const Ipv4Bytes& server : net::name_servers()) {
        to.add("nameserver ");
        for (std::size_t i = 0; i < server.size(); ++i) {
            to.add(i == 0 ? "" : ".").add_number(server[i]);
        }
        to.add("\n");
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
    if (const ProgramMemory* of = memory()) {
        for (const Area& area : of->areas()) {
            bytes += area.end - area.start;
        }
    }
    return bytes;
}

std::uint64_t KernelProcSource::resident_memory_bytes() const {
    const ProgramMemory* of = memory();
    if (of == nullptr) {
        return 0;
    }
    of->select();
    const std::uint64_t bytes = of->resident_bytes();
    process().memory->select();
    return bytes;
}

std::uint64_t KernelProcSource::uptime_ms() const {
    return monotonic_ns() / 1'000'000;
}

std::uint64_t KernelProcSource::cpu_time_ms() const {
    return cpu_time_ns(*subject_) / 1'000'000;
}

std::uint64_t KernelProcSource::children_time_ms() const {
    return children_time_ns(*subject_) / 1'000'000;
}

std::uint64_t KernelProcSource::busy_ms(std::uint32_t cpu) const {
    return busy_time_ns(cpu) / 1'000'000;
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
