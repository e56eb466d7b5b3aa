// The command line of `shoal`, parsed: what the user asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/cli/join_options.h"
#include "controlplane/cli/network.h"
#include "controlplane/cli/remote_options.h"
#include "controlplane/model/image.h"

namespace shoal::cli {

// A program and its microVM.
struct ProgramOptions {
    std::uint64_t memory_mib = 128;
    std::uint64_t vcpus = 1;
    std::vector<std::string> env;  // each KEY=VALUE
    // A directory, or an EROFS image; empty: the file system holds the program alone.
    std::string root;
    std::string workdir;            // where the program starts; empty: /
    std::vector<std::string> with;  // files and folders of the host to add
    bool verbose = false;
    bool exec = false;               // an agent starts the program, and commands for the host
    std::string program;             // as typed
    std::vector<std::string> words;  // the program's arguments, without argv[0]
};

// `shoal run`
struct RunOptions : ProgramOptions {
    std::string kernel;     // that is booted instead of a program; empty: none
    std::string initramfs;  // its; empty: none
    std::string cmdline = model::default_cmdline;  // its
    std::vector<std::string> disks;                // PATH[,ro][,direct]
    std::optional<NetworkOption> network;  // none: the microVM has the loopback interface alone
    std::string vsock;                     // the vsock device's unix socket; empty: no device
    std::string timeout_s;                 // empty: none
    std::string api_socket;                // of the VMM's API; empty: it has none
    std::string fence;                     // the file of the guest's deadline; empty: none
    // Where the VMM opens files besides its own, each PATH or PATH,ro; empty: everywhere.
    std::vector<std::string> allowed;
    bool timing = false;
    bool trace_syscalls = false;
};

// `shoal snapshot`
struct SnapshotOptions : ProgramOptions {
    std::string folder;                     // of the template's files
    std::optional<std::string> ready_line;  // of stdout; none: the program waits at /dev/clone
    bool vsock = false;
    bool compress = false;
    std::optional<NetworkOption> network;
    double timeout_s = 300;
};

// `shoal clone`
struct CloneOptions {
    std::string folder;  // of the template's files
    std::uint64_t count = 0;
    std::string vsock;                     // before each clone's id; empty: as the template has it
    std::optional<NetworkOption> network;  // of the first one; none: as the template has it
    std::vector<std::string> words;        // for each clone; "{}" stands for its id
};

// Text for stdout and nothing else to do: --help, --version.
struct ShowText {
    std::string text;
};

using Command = std::variant<RunOptions, SnapshotOptions, CloneOptions, RemoteOptions, InitOptions,
                             JoinOptions, ShowText>;

// `args` as main() has them, the program's own name first. Throws CliError.
Command parse_command_line(std::span<char* const> args);

}  // namespace shoal::cli
