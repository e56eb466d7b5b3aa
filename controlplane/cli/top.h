// `shoal top`: a table of what microVMs use, again and again.
#pragma once

#include "controlplane/cli/client.h"
#include "controlplane/cli/remote_options.h"

namespace shoal::cli {

void top(const Client& client, const TopOptions& options);

}  // namespace shoal::cli
