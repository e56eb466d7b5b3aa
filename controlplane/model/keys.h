// Where the store keeps what. A value is one JSON object.
#pragma once

#include <string>
#include <string_view>

namespace shoal::model::keys {

inline constexpr std::string_view hosts = "/hosts/";            // NAME: Host
inline constexpr std::string_view heartbeats = "/heartbeats/";  // NAME: Heartbeat
inline constexpr std::string_view groups = "/groups/";          // NAME: Group
inline constexpr std::string_view microvms = "/microvms/";      // NAME: MicroVmSpec
inline constexpr std::string_view deletions = "/deletions/";    // NAME: Deletion
inline constexpr std::string_view placements = "/placements/";  // NAME: Placement
inline constexpr std::string_view statuses = "/statuses/";      // HOST/NAME: MicroVmStatus
// HOST/NAME: Assignment. Made with the placement: so a host watches only what is its own.
inline constexpr std::string_view assignments = "/assignments/";
inline constexpr std::string_view templates = "/templates/";  // NAME: Template
inline constexpr std::string_view images = "/images/";        // NAME: Image
// HOST/TEMPLATE or HOST/image:IMAGE: BundleCopy
inline constexpr std::string_view copies = "/copies/";
inline constexpr std::string_view checkpoints = "/checkpoints/";  // NAME: Checkpoint
inline constexpr std::string_view moves = "/moves/";              // NAME: Move
inline constexpr std::string_view drains = "/drains/";            // HOST: Drain
inline constexpr std::string_view volumes = "/volumes/";          // NAME: Volume
inline constexpr std::string_view networks = "/networks/";        // NAME: Network
inline constexpr std::string_view addresses = "/addresses/";      // NETWORK/ADDRESS: Address
inline constexpr std::string_view projects = "/projects/";        // NAME: Project
inline constexpr std::string_view join_tokens = "/join-tokens/";  // SHA-256: JoinToken
inline constexpr std::string_view failover = "/failover/state";   // Failover, while it is stopped
inline constexpr std::string_view leader = "/leader";             // with a lease: who schedules

// Stands for HOST in the status of a microVM that has none. No host can be called so.
inline constexpr std::string_view no_host = ".";

[[nodiscard]] inline std::string of(std::string_view folder, std::string_view name) {
    return std::string{folder}.append(name);
}

[[nodiscard]] inline std::string of(std::string_view folder, std::string_view host,
                                    std::string_view name) {
    return std::string{folder}.append(host).append("/").append(name);
}

}  // namespace shoal::model::keys
