// Packs a program, with all that it needs of the host, into what a microVM boots.
#pragma once

#include <string>

#include "controlplane/cli/initramfs.h"
#include "controlplane/cli/options.h"

namespace shoal::cli {

struct PackedProgram {
    std::string guest_path;  // of what is started first
    Initramfs initramfs;
    std::string root_image;  // an EROFS image for the first disk; empty: none
};

// Throws CliError or std::system_error.
[[nodiscard]] PackedProgram pack(const ProgramOptions& options, FileBytes large_files);

// The kernel's word that names the program. Throws CliError for a path that it cannot carry.
[[nodiscard]] std::string program_word(const std::string& guest_path);

inline std::string descriptor_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace shoal::cli
