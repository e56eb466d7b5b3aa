// Which hosts keep a microVM's checkpoint.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane/node/mirror/mirror.h"

namespace shoal::node {

// Whether it has been heard of lately, and can be reached.
[[nodiscard]] bool is_reachable(const HostEntry& host, store::EventLoop::Duration now);

// At most so many, none of those that drain, best first: in other zones than `self`, and each in
// one of its own, where there are such; among equals by rendezvous hashing, so that a microVM's
// stay the same while hosts come and go. Empty: `self` is alone.
[[nodiscard]] std::vector<std::string> choose_holders(const std::map<std::string, HostEntry>& hosts,
                                                      const std::string& self,
                                                      const std::string& microvm,
                                                      std::uint64_t copies,
                                                      store::EventLoop::Duration now);

}  // namespace shoal::node
