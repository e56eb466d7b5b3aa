// `shoal init`: a cluster's authority, and its first host's certificate.
#pragma once

#include "controlplane/cli/join_options.h"

namespace shoal::join {

// Throws CliError or pki::PkiError.
void init(const cli::InitOptions& options);

}  // namespace shoal::join
