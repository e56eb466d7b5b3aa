// CheckpointId: which save of which microVM, and the name of its folder.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::checkpoints {

// A microVM's memory is never the same under two placements: whoever is late with an upload, as one
// that is fenced, overwrites nobody's.
struct CheckpointId {
    std::string microvm;
    std::int64_t placement = 0;  // its revision
    std::uint64_t generation = 0;

    auto operator<=>(const CheckpointId&) const = default;
};

// "NAME@PLACEMENT.GENERATION"
[[nodiscard]] std::string to_text(const CheckpointId& id);
// Nothing: it is no such name.
[[nodiscard]] std::optional<CheckpointId> id_in(std::string_view text);

}  // namespace shoal::checkpoints
