// `shoal join`: gets a new host its certificate, from a host that has the cluster's authority.
#pragma once

#include "controlplane/cli/join_options.h"

namespace shoal::join {

// The key is made here and stays here. Nothing is said to who does not have the authority that the
// token names. Throws CliError or pki::PkiError.
void join(const cli::JoinOptions& options);

}  // namespace shoal::join
