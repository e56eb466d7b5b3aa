// The texts of /proc: which files there are, and who writes each.
#pragma once

#include <span>
#include <string_view>

#include "guest/kernel/fs/proc_files.h"

namespace shoal::guest {

using ProcWriter = void (*)(const ProcSource& source, Text& to);

struct ProcText {
    std::string_view name;
    ProcWriter writer;
};

[[nodiscard]] std::span<const ProcText> machine_texts();  // of /proc
[[nodiscard]] std::span<const ProcText> process_texts();  // of /proc/self

// The files of one folder below /proc/sys.
struct ProcFolder {
    std::string_view path;  // from the root
    std::span<const ProcText> files;
};
[[nodiscard]] std::span<const ProcFolder> system_folders();

// /proc/cpuinfo, from the CPUID instruction.
void write_cpuinfo(const ProcSource& source, Text& to);

}  // namespace shoal::guest
