// The texts of /proc/sys, as in proc(5): what programs look up, with the values of this kernel.
#include "guest/kernel/fs/file_table.h"
#include "guest/kernel/fs/proc_text.h"

namespace shoal::guest {
namespace {

template <std::uint64_t number>
void write_constant(const ProcSource&, Text& to) {
    to.add_number(number).add("\n");
}

void write_release(const ProcSource& source, Text& to) {
    to.add(source.release()).add("\n");
}

void write_version(const ProcSource& source, Text& to) {
    to.add(source.version()).add("\n");
}

void write_type(const ProcSource&, Text& to) {
    to.add("Linux\n");
}

void write_host_name(const ProcSource&, Text& to) {
    to.add("shoal\n");  // as uname(2) says
}

void write_file_limit(const ProcSource&, Text& to) {
    to.add_number(FileTable::limit).add("\n");
}

constexpr ProcText kernel_files[] = {
    {"hostname", write_host_name},
    {"ostype", write_type},
    {"osrelease", write_release},
    {"version", write_version},
    {"pid_max", write_constant<32768>},
    {"threads-max", write_constant<32768>},
    {"ngroups_max", write_constant<65536>},
    {"cap_last_cap", write_constant<40>},
    {"randomize_va_space", write_constant<2>},
};

constexpr ProcText memory_files[] = {
    {"overcommit_memory", write_constant<1>},  // RAM is backed when it is touched
    {"max_map_count", write_constant<65530>},
    {"mmap_min_addr", write_constant<65536>},
};

constexpr ProcText file_files[] = {
    {"file-max", write_file_limit},
    {"nr_open", write_file_limit},
    {"pipe-max-size", write_constant<1048576>},
};

void write_name_servers(const ProcSource& source, Text& to) {
    source.write_name_servers(to);
}

// Where Linux keeps what ip= and its DHCP brought (admin-guide/nfs/nfsroot).
constexpr ProcText found_files[] = {
    {"pnp", write_name_servers},
};

constexpr ProcText network_files[] = {
    {"somaxconn", write_constant<4096>},
};

constexpr ProcFolder folders[] = {
    {"proc/sys/kernel", kernel_files}, {"proc/sys/vm", memory_files},
    {"proc/sys/fs", file_files},       {"proc/sys/net/core", network_files},
    {"proc/net", found_files},
};

}  // namespace

std::span<const ProcFolder> system_folders() {
    return folders;
}

}  // namespace shoal::guest
