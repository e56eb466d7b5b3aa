// The texts of /proc, as in proc(5).
#include "guest/kernel/fs/proc_text.h"

#include <algorithm>

namespace shoal::guest {
namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t ticks_per_second = 100;  // USER_HZ

std::uint64_t ticks_in(std::uint64_t milliseconds) {
    return milliseconds * ticks_per_second / 1000;
}

// The number ends in column `number_end`, a tab counting as one.
void add_kib_line(Text& to, std::string_view label, std::uint64_t bytes, std::size_t number_end) {
    std::vector<char> number;
    Text{number}.add_number(bytes / 1024);
    to.add(label);
    const std::size_t used = label.size() + number.size();
    for (std::size_t i = used; i < number_end; ++i) {
        to.add(" ");
    }
    to.add({number.data(), number.size()}).add(" kB\n");
}

void add_kib(Text& to, std::string_view label, std::uint64_t bytes) {
    add_kib_line(to, label, bytes, 24);
}

void add_status_kib(Text& to, std::string_view label, std::uint64_t bytes) {
    add_kib_line(to, label, bytes, label.size() + 8);
}

void write_meminfo(const ProcSource& source, Text& to) {
    const std::uint64_t total = source.memory_total_bytes();
    const std::uint64_t free = source.memory_free_bytes();
    add_kib(to, "MemTotal:", total);
    add_kib(to, "MemFree:", free);
    add_kib(to, "MemAvailable:", free);
    add_kib(to, "Buffers:", 0);
    add_kib(to, "Cached:", 0);
    add_kib(to, "SwapCached:", 0);
    add_kib(to, "Active:", total - std::min(free, total));
    add_kib(to, "Inactive:", 0);
    add_kib(to, "SwapTotal:", 0);
    add_kib(to, "SwapFree:", 0);
    add_kib(to, "Dirty:", 0);
    add_kib(to, "Writeback:", 0);
    add_kib(to, "AnonPages:", source.process_memory_bytes());
    add_kib(to, "Mapped:", 0);
    add_kib(to, "Shmem:", 0);
    add_kib(to, "Slab:", 0);
    to.add("HugePages_Total:       0\n");
    add_kib(to, "Hugepagesize:", 2ULL << 20);
}

std::uint64_t idle_ms_of(const ProcSource& source, std::uint32_t cpu) {
    const std::uint64_t all = source.uptime_ms();
    return all - std::min(all, source.busy_ms(cpu));
}

// user, nice, system, idle: all that is not idle counts as the first.
void add_cpu_times(Text& to, std::uint64_t busy_ms, std::uint64_t idle_ms) {
    to.add(" ").add_number(ticks_in(busy_ms)).add(" 0 0 ").add_number(ticks_in(idle_ms));
    to.add(" 0 0 0 0 0 0\n");
}

void write_uptime(const ProcSource& source, Text& to) {
    std::uint64_t idle_ms = 0;
    for (std::uint32_t cpu = 0; cpu < source.cpu_count(); ++cpu) {
        idle_ms += idle_ms_of(source, cpu);
    }
    to.add_fixed(source.uptime_ms() / 10, 2).add(" ");
    to.add_fixed(idle_ms / 10, 2).add("\n");
}

void write_version(const ProcSource& source, Text& to) {
    to.add("Linux version ").add(source.release()).add(" ").add(source.version()).add("\n");
}

void write_load(const ProcSource& source, Text& to) {
    to.add("0.00 0.00 0.00 1/1 ").add_number(source.pid()).add("\n");
}

void write_machine_stat(const ProcSource& source, Text& to) {
    std::uint64_t busy_ms = 0;
    std::uint64_t idle_ms = 0;
    for (std::uint32_t cpu = 0; cpu < source.cpu_count(); ++cpu) {
        busy_ms += source.busy_ms(cpu);
        idle_ms += idle_ms_of(source, cpu);
    }
    to.add("cpu ");
    add_cpu_times(to, busy_ms, idle_ms);
    for (std::uint32_t cpu = 0; cpu < source.cpu_count(); ++cpu) {
        to.add("cpu").add_number(cpu);
        add_cpu_times(to, source.busy_ms(cpu), idle_ms_of(source, cpu));
    }
    to.add("intr 0\nctxt 0\nbtime 0\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n");
}

void write_filesystems(const ProcSource&, Text& to) {
    to.add("nodev\trootfs\nnodev\tproc\n");
}

void write_mounts(const ProcSource&, Text& to) {
    to.add("rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\n");
}

void write_command_line(const ProcSource& source, Text& to) {
    source.write_arguments(to);
}

void write_environment(const ProcSource& source, Text& to) {
    source.write_environment(to);
}

void write_maps(const ProcSource& source, Text& to) {
    source.write_maps(to);
}

// TASK_COMM_LEN without the NUL.
std::string_view command_name(const EntryRef& executable) {
    constexpr std::size_t size_max = 15;
    return executable ? executable->name().substr(0, size_max) : std::string_view{"init"};
}

void write_command_name(const ProcSource& source, Text& to) {
    const EntryRef executable = source.executable();
    to.add(command_name(executable)).add("\n");
}

void write_process_stat(const ProcSource& source, Text& to) {
    const EntryRef executable = source.executable();
    to.add_number(source.pid()).add(" (").add(command_name(executable));
    // From the state on: ppid, pgrp, session, tty, tpgid, flags, faults, times, priority, nice,
    // threads, itrealvalue, start time.
    const char state = source.state();
    to.add(") ").add({&state, 1}).add(" ").add_number(source.parent_pid()).add(" ");
    to.add_number(source.group()).add(" ").add_number(source.session());
    to.add(" 0 -1 4194304 0 0 0 0 ");
    to.add_number(ticks_in(source.cpu_time_ms())).add(" 0 ");
    to.add_number(ticks_in(source.children_time_ms())).add(" 0 20 0 ");
    to.add_number(source.thread_count()).add(" 0 0 ");
    to.add_number(source.process_memory_bytes()).add(" ");
    to.add_number(source.resident_memory_bytes() / page_bytes);
    to.add(" 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
}

void write_process_status(const ProcSource& source, Text& to) {
    const EntryRef executable = source.executable();
    const char state = source.state();
    to.add("Name:\t").add(command_name(executable)).add("\nUmask:\t0022\nState:\t");
    to.add({&state, 1})
        .add(state == 'R'   ? " (running)\n"
             : state == 'S' ? " (sleeping)\n"
                            : " (zombie)\n");
    to.add("Tgid:\t").add_number(source.pid()).add("\nNgid:\t0\nPid:\t").add_number(source.pid());
    to.add("\nPPid:\t").add_number(source.parent_pid());
    to.add("\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\n");
    const std::uint64_t size = source.process_memory_bytes();
    const std::uint64_t resident = source.resident_memory_bytes();
    add_status_kib(to, "VmPeak:\t", size);
    add_status_kib(to, "VmSize:\t", size);
    add_status_kib(to, "VmHWM:\t", resident);
    add_status_kib(to, "VmRSS:\t", resident);
    to.add("Threads:\t").add_number(source.thread_count()).add("\n");
}

void write_auxiliary_vector(const ProcSource& source, Text& to) {
    source.write_auxiliary_vector(to);
}

// Sizes in pages: total, resident, shared, text, 0, data, 0.
void write_process_statm(const ProcSource& source, Text& to) {
    const std::uint64_t total = source.process_memory_bytes() / page_bytes;
    to.add_number(total).add(" ").add_number(source.resident_memory_bytes() / page_bytes);
    to.add(" 0 0 0 ").add_number(total).add(" 0\n");
}

constexpr ProcText machine_files[] = {
    {"cpuinfo", write_cpuinfo}, {"filesystems", write_filesystems}, {"loadavg", write_load},
    {"meminfo", write_meminfo}, {"stat", write_machine_stat},       {"uptime", write_uptime},
    {"version", write_version},
};

constexpr ProcText process_files[] = {
    {"auxv", write_auxiliary_vector}, {"statm", write_process_statm},
    {"cmdline", write_command_line},  {"comm", write_command_name},
    {"environ", write_environment},   {"maps", write_maps},
    {"mounts", write_mounts},         {"stat", write_process_stat},
    {"status", write_process_status},
};

}  // namespace

std::span<const ProcText> machine_texts() {
    return machine_files;
}

std::span<const ProcText> process_texts() {
    return process_files;
}

}  // namespace shoal::guest
