// Room: what placed microVMs use of a host, and who waits for some of it, brought up to date one
// microVM at a time: with ten thousand of them, nobody can look at all for each change.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "controlplane/model/resources.h"
#include "controlplane/node/mirror/mirror.h"

namespace shoal::node {

// In the order in which they get room: higher priorities first, then the older.
struct Waiting {
    std::int64_t urgency = 0;  // the lower the sooner
    Revision created = 0;
    std::string name;

    auto operator<=>(const Waiting&) const = default;
};
[[nodiscard]] Waiting waiting_of(const MicroVm& microvm);

class Room {
public:
    // As the mirror has it now. True if there is more room than before.
    bool update(const Mirror& mirror, const std::string& name);

    // What is placed and has not ended.
    [[nodiscard]] const model::Resources& used() const noexcept { return used_; }
    // Of this one.
    [[nodiscard]] model::Resources used_by(const std::string& name) const;
    [[nodiscard]] const std::set<Waiting>& waiting() const noexcept { return waiting_; }

private:
    model::Resources used_;
    std::map<std::string, model::Resources, std::less<>> users_;
    std::set<Waiting> waiting_;
    std::map<std::string, std::set<Waiting>::iterator, std::less<>> places_;  // in the queue
};

}  // namespace shoal::node
