// What a clone's VMM is asked: load the template, go on, and tell the program who it is.
#pragma once

#include <boost/json/array.hpp>
#include <optional>
#include <string>
#include <vector>

namespace shoal::node {

// The guest reads at most so much of /dev/clone.
inline constexpr std::size_t max_clone_words_bytes = 32768;

// As `shoal run` calls its network device.
inline constexpr const char* microvm_interface = "eth0";

// The same of its image's file.
inline constexpr const char* drive_of_image = "root";

// The same of its volumes.
[[nodiscard]] inline std::string drive_of_volume(std::size_t idx) {
    return "disk" + std::to_string(idx);
}

// A clone's own, in place of its template's.
struct CloneNetwork {
    std::string tap;
    std::string mac;
    std::string words;  // of the kernel's command line: its addresses
};

struct CloneOrder {
    std::string state;  // the template's files
    std::string memory;
    std::string working_set;
    std::string id;
    std::vector<std::string> arguments{};
    std::string vsock{};                    // the path of its own vsock device; empty: it has none
    std::optional<CloneNetwork> network{};  // nothing: its template has none
    bool is_saved = false;  // again and again, from now on: what it writes is logged
    // Records what of the memory it uses, for those that come later, unless one has done so.
    bool records = false;
};

// One that goes on as itself, on another host.
struct RestoreOrder {
    std::string state;  // the checkpoint's files
    std::string memory;
    std::string vsock;                   // the path of its vsock device here; empty: it has none
    std::string tap;                     // its network device's here; empty: it has none
    std::vector<std::string> volumes{};  // the paths of its volumes here, in their order
    std::string root{};                  // the path of its image's file here; empty: it has none
};

// Of a VMM's API: where it finds the drives of a microVM that comes from elsewhere.
[[nodiscard]] boost::json::array drive_overrides(const std::string& root,
                                                 const std::vector<std::string>& volumes);

// HTTP requests, whole.
[[nodiscard]] std::string to_request(const CloneOrder& order);
[[nodiscard]] std::string to_request(const RestoreOrder& order);

}  // namespace shoal::node
