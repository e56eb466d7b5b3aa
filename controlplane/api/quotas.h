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
// What a group adds to what it was; null: it was not there.
[[nodiscard]] Usage growth(const model::Group& group, const model::Group* before) noexcept;
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

    // Other hosts may have let more in at the same time. Throws Problem 403 when what came at this
    // revision, which the mirror shows, was too much; `more` is what it added.
    static void expect_within(const node::Mirror& mirror, const std::string& project,
                              store::Revision made, const Usage& more);

private:
    using Charges = std::map<std::string, Usage>;

    // Of what was created until this revision, and groups as they are.
    [[nodiscard]] static Usage used_at(const node::Mirror& mirror, const std::string& project,
                                       store::Revision revision);
    [[nodiscard]] Charge charge(const node::Mirror& mirror, const std::string& project,
                                const Usage& more);

    std::shared_ptr<Charges> charges_ = std::make_shared<Charges>();
};

}  // namespace shoal::rest
