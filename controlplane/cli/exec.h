// `shoal exec`: a command in a microVM, with this process's standard streams.
#pragma once

#include <string>

#include "controlplane/cli/client.h"
#include "controlplane/cli/remote_options.h"

namespace shoal::cli {

// Until the command has ended; its exit code. Throws CliError or
// exec::FrameError.
[[nodiscard]] int exec(const Client& client, const ExecOptions& options, const std::string& target);

}  // namespace shoal::cli
