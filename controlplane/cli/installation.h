// Where shoal's other parts are: beside it, installed, or where the environment says.
#pragma once

#include <string>
#include <vector>

namespace shoal::cli {

// $SHOAL_VMM, or shoal-vmm beside this program. Throws CliError when it cannot be run.
[[nodiscard]] std::string find_vmm();
// Another program that was built or installed with this one. Throws CliError.
[[nodiscard]] std::string find_helper(const std::string& name);
// This process becomes the program of the first word. Returns when that cannot be run.
void exec(std::vector<std::string>& words);
// $SHOAL_GUEST, or the unikernel that was built or installed with this program. Throws CliError.
[[nodiscard]] std::string find_unikernel();

}  // namespace shoal::cli
