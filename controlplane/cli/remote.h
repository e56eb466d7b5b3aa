// The verbs that ask shoald.
#pragma once

#include "controlplane/cli/remote_options.h"

namespace shoal::cli {

// Prints to stdout. The exit code: 0, or that of the microVM that was waited for. Throws CliError.
[[nodiscard]] int run(const RemoteOptions& options);

}  // namespace shoal::cli
