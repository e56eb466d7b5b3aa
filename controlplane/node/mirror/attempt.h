// Attempt: one start of one microVM. Its name is that of its run folder, NAME@CREATED.RESTARTS:
// what is found there after a restart of shoald says by itself whether it is still wanted.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::node {

struct Attempt {
    std::string name;
    std::int64_t created = 0;    // the store's revision at which the microVM was asked for
    std::uint64_t restarts = 0;  // how often it was started before

    auto operator<=>(const Attempt&) const = default;
};

[[nodiscard]] std::string to_folder_name(const Attempt& attempt);
[[nodiscard]] std::optional<Attempt> attempt_in(std::string_view folder_name);

}  // namespace shoal::node
