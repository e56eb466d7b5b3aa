// Where the store keeps what. A value is one JSON object.
#pragma once

#include <string>
#include <string_view>

namespace shoal::model::keys {

inline constexpr std::string_view hosts = "/hosts/";            // NAME: Host
inline constexpr std::string_view heartbeats = "/heartbeats/";  // NAME: Heartbeat
inline constexpr std::string_view groups = "/groups/";          // NAME: Group
inline constexpr std::string_view microvms = "/microvms/";      // NAME: MicroVmSpec
inline constexpr std::string_view placements = "/placements/";  // NAME: Placement
inline constexpr std::string_view statuses = "/statuses/";      // HOST/NAME: MicroVmStatus
inline constexpr std::string_view leader = "/leader";           // with a lease: who schedules

[[nodiscard]] inline std::string of(std::string_view folder, std::string_view name) {
    return std::string{folder}.append(name);
}

}  // namespace shoal::model::keys
