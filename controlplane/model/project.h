// A project: whose microVMs have a limit together. One that nobody has described has none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace shoal::model {

struct Project {
    std::string name;
    std::optional<std::uint64_t> microvms;  // absent: no limit
    std::optional<std::uint64_t> memory_mib;
    std::optional<std::uint64_t> vcpus;
};

}  // namespace shoal::model
