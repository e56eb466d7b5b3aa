// Quotas: what a project's microVMs may have together, looked at when one is asked for.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "controlplane/model/group.h"
#include "controlplane/model/microvm.h"
#include "controlplane/node/mirror/mirror.h"

namespace shoal::rest {

struct Usage {
    std::uint64_t microvms = 0;
    std::uint64_t memory_mib = 0;
    std::uint64_t vcpus = 0;

    Usage& operator+=(const Usage& other) noexcept;
    Usage& operator-=(const Usage& other) noexcept;
};
// Of `count` microVMs.
[[nodiscard]] Usage usage_of(const model::MicroVmSpec& spec, std::uint64_t count = 1) noexcept;

class Quotas {
public:
    // What is being committed counts as long as this lives, as the mirror does not show it yet.
    using Charge = std::shared_ptr<void>;

    // What a project has: microVMs that stand alone and have not ended, and groups at the count
    // that is wanted of them.
    [[nodiscard]] Usage used(const node::Mirror& mirror, const std::string& project) const;

    // Throws Problem 403 when it is too much. `count`: of the same.
    [[nodiscard]] Charge charge(const node::Mirror& mirror, const model::MicroVmSpec& spec,
                                std::uint64_t count = 1);
    [[nodiscard]] Charge charge(const node::Mirror& mirror, const model::Group& group);

private:
    using Charges = std::map<std::string, Usage>;

    [[nodiscard]] Charge charge(const node::Mirror& mirror, const std::string& project,
                                const Usage& more);

    std::shared_ptr<Charges> charges_ = std::make_shared<Charges>();
};

}  // namespace shoal::rest
