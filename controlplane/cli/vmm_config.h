// A packed program as the configuration of a shoal-vmm that has an API: what `--config-file` takes.
#pragma once

#include <string>

#include "controlplane/cli/options.h"
#include "controlplane/cli/packing.h"

namespace shoal::cli {

// JSON. `boot_args`: the kernel's command line.
[[nodiscard]] std::string vmm_config(const RunOptions& options, const PackedProgram& program,
                                     const std::string& kernel, const std::string& boot_args);

}  // namespace shoal::cli
