// A microVM as the configuration of a shoal-vmm that has an API: what `--config-file` takes.
#pragma once

#include <string>
#include <vector>

#include "controlplane/cli/options.h"

namespace shoal::cli {

enum class RootDevice {
    announced,  // the VMM adds root=/dev/vda
    plain,      // the first disk: the kernel's command line says what is mounted
};

// What is booted, by paths.
struct BootFiles {
    std::string kernel;
    std::string initramfs;   // empty: none
    std::string root_image;  // the first disk, read-only; empty: none
    std::string boot_args;   // the kernel's command line
    RootDevice root_device = RootDevice::announced;
};

// JSON.
[[nodiscard]] std::string vmm_config(const RunOptions& options, const BootFiles& boot);

// Words of its shoal-vmm: it opens what is named here by its path, and what the options allow. None
// when they allow all.
[[nodiscard]] std::vector<std::string> allow_words(const RunOptions& options,
                                                   const BootFiles& boot);

}  // namespace shoal::cli
