// `shoal snapshot`: prepares a program once, and saves it as a template for clones.
#pragma once

#include <string>

#include "controlplane/cli/options.h"

namespace shoal::cli {

// The files of a template in its folder.
[[nodiscard]] std::string template_state(const std::string& folder);
[[nodiscard]] std::string template_memory(const std::string& folder);

// The id of its network interface.
inline constexpr const char* template_interface = "eth0";

// Runs the program until it is ready, saves its microVM and ends it. What it prints goes to stdout.
// Throws CliError or std::system_error; then the folder has the template of before, if any.
void snapshot(const SnapshotOptions& options);

}  // namespace shoal::cli
