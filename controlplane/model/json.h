// Hosts, microVMs and groups as JSON: what the API takes and gives, and what the store keeps.
//
// Hostile input: every field has a limit (descriptions.h), and what breaks one is refused with its
// path, what was found and what is allowed. Of two fields of one name the last one counts.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace shoal::model {

// As much as the store takes as a value.
inline constexpr std::size_t max_json_bytes = std::size_t{512} << 10;

// One sentence, for whoever wrote the JSON.
class JsonError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// A request must not have any; what a newer shoald has written into the store may.
enum class UnknownFields { refused, ignored };

// Resources, Host, SchedulingChange, Heartbeat, Assignment, MicroVmSpec, Placement, MicroVmStatus,
// Deletion, Checkpoint, Move, Drain, Group, TemplateSpec, Template, BundleCopy, JoinTokenSpec,
// JoinToken, JoinRequest, Volume, Network, Address, Project, ImageSpec, Image or OciConfig. Throws
// JsonError.
template <typename Body>
[[nodiscard]] Body from_json(std::string_view text,
                             UnknownFields unknown_fields = UnknownFields::refused);

// Of the same, and of Labels; compact, fields in the order of their table, absent ones as null.
template <typename Body>
[[nodiscard]] std::string to_json(const Body& body);

// As microvm.h says.
[[nodiscard]] bool is_name(std::string_view text) noexcept;

}  // namespace shoal::model
