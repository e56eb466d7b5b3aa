// Bridges and TAPs of this network namespace, by the kernel's ioctls. All throw std::system_error.
#pragma once

#include <string>
#include <vector>

#include "controlplane/network/subnet.h"

namespace shoal::network {

// Each makes what is missing, and changes nothing that is as it should be. A bridge that was only
// added is down and has no address.
void add_bridge(const std::string& name);
void ensure_bridge(const std::string& name, const Subnet& subnet);
void ensure_tap(const std::string& name, const std::string& bridge);

// What is not there is fine.
void remove_bridge(const std::string& name);
void remove_tap(const std::string& name);

[[nodiscard]] std::vector<std::string> interfaces();

}  // namespace shoal::network
