// Gathers what a program of the host needs to run in a microVM: its dynamic linker, its libraries
// and theirs, and the interpreter if it is a script. Found by reading the files, as the dynamic
// linker will; no program of the host is run.
#pragma once

#include <span>
#include <string>

#include "controlplane/cli/root_tree.h"

namespace shoal::cli {

enum class Verbosity {
    quiet,
    verbose,  // a line on stderr for each file that was taken, and for what
};

struct GatherRequest {
    std::string program;                // its path in the guest
    std::string name;                   // as the user typed it
    std::span<const std::string> with;  // files and folders of the host to add, with their needs
    std::span<const std::string> env;   // the program's
    Verbosity verbosity = Verbosity::quiet;
};

// Throws CliError when the program cannot be run or something that it needs is missing.
void gather(RootTree& tree, const GatherRequest& request);

}  // namespace shoal::cli
