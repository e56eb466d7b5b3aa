// Makes the initramfs that `shoal run` boots: the files of --root and of the host, the program's
// words.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "controlplane/cli/root_tree.h"
#include "devices/host/unique_fd.h"

namespace shoal::cli {

// What the archive's files are put on: an image's root directory keeps its attributes.
enum class Below { nothing, image };

// Whether the bytes of larger files of the host are in the archive, or are to be mapped into its
// holes (shoal-vmm's --initrd-map).
enum class FileBytes { mapped, copied };

struct InitramfsPlan {
    std::string root;                   // a directory to copy, or empty
    const RootTree* tree = nullptr;     // the program, and what else joins the files of `root`
    std::span<const std::string> args;  // argv, the program's name first
    std::span<const std::string> env;   // KEY=VALUE
    std::string workdir;                // where the program starts; empty: /
    std::uint64_t limit_bytes = 0;      // a larger archive is refused
    Below below = Below::nothing;
    FileBytes large_files = FileBytes::mapped;
    std::string exec_agent = {};  // a file of the host, for exec_agent_path; empty: none
};

// Where the agent of exec is in the guest.
inline constexpr const char* exec_agent_path = "/.shoal-exec-agent";

struct Initramfs {
    host::UniqueFd archive;
    // For shoal-vmm's --initrd-map, unless all bytes were copied: which files' pages belong in the
    // holes of the archive.
    host::UniqueFd map;
};

// Two open memfds that survive exec. Besides the files it holds /.shoal/args, /.shoal/env and
// /.shoal/cwd, each word with a NUL after it: a kernel command line could carry neither all bytes
// nor all lengths. Device files, sockets and FIFOs are left out, with a line on stderr each. Throws
// CliError.
Initramfs make_initramfs(const InitramfsPlan& plan);

}  // namespace shoal::cli
