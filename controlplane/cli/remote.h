// The verbs that ask shoald.
#pragma once

#include "controlplane/cli/remote_options.h"

namespace shoal::cli {

// Prints to stdout. Throws CliError.
void run(const RemoteOptions& options);

}  // namespace shoal::cli
