// `shoal init`: a cluster's authority, and its first host's certificate.
#pragma once

#include "controlplane/cli/join_options.h"

namespace shoal::cli {

// Throws CliError or pki::PkiError.
void init(const InitOptions& options);

}  // namespace shoal::cli
