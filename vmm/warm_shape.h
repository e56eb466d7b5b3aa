// The shape of the VM that a warm process makes, as a word of the command line.
#pragma once

#include <optional>
#include <string_view>

#include "vmm/machine/microvm_factory.h"

namespace shoal::vmm {

// VCPUS,MIB. Nothing: it is none, or no machine can be so large.
[[nodiscard]] std::optional<WarmShape> parse_warm_shape(std::string_view word) noexcept;

}  // namespace shoal::vmm
