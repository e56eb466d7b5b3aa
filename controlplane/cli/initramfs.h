// Makes the initramfs that `shoal run` boots: the files of --root, the program, its words.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "controlplane/cli/program.h"
#include "devices/host/unique_fd.h"

namespace shoal::cli {

// What the archive's files are put on: an image's root directory keeps its attributes.
enum class Below { nothing, image };

struct InitramfsPlan {
    const Program* program = nullptr;
    std::string root;                   // a directory to copy, or empty
    std::span<const std::string> args;  // argv, the program's name first
    std::span<const std::string> env;   // KEY=VALUE
    std::uint64_t limit_bytes = 0;      // a larger archive is refused
    Below below = Below::nothing;
};

// An open memfd that survives exec. Besides the files it holds /.shoal/args and /.shoal/env, each
// word with a NUL after it: a kernel command line could carry neither all bytes nor all lengths.
// Device files, sockets and FIFOs are left out, with a line on stderr each. Throws CliError.
host::UniqueFd make_initramfs(const InitramfsPlan& plan);

}  // namespace shoal::cli
