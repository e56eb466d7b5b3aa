// GroupController: keeps every group at its count: level-triggered, on the mirror alone.
//
// The members of group g are g-0, g-1, ... Those that are missing are created, those beyond the
// count deleted; one that has ended is replaced, ever more slowly while it fails; one that is not
// as the group now says is replaced when all others run. Members of a group that is gone are
// deleted.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/model/back_off.h"
#include "controlplane/node/mirror/mirror.h"

namespace shoal::node {

// The number behind the dash, if it is the name of a member.
[[nodiscard]] std::optional<std::uint64_t> member_index(std::string_view group,
                                                        std::string_view name);

class GroupController final : public MirrorListener {
public:
    // Borrows all.
    GroupController(store::EventLoop& loop, store::Store& store, Mirror& mirror)
        : loop_{loop}, store_{store}, mirror_{mirror} {}
    GroupController(const GroupController&) = delete;
    GroupController& operator=(const GroupController&) = delete;
    ~GroupController() override = default;

    // Once the mirror is ready.
    void start();

private:
    using Members = std::vector<const MicroVm*>;

    void on_microvm_changed(const std::string& name) override;
    void on_group_changed(const std::string& name) override { look_at(name); }

    void look_at(const std::string& group);
    void look();
    void reconcile(const std::string& name);
    [[nodiscard]] Members members_of(const std::string& group) const;
    void remove_members(const std::string& group, const Members& members);
    void keep(const GroupEntry& entry, const Members& members);
    void replace_ended(const MicroVm& member, store::Transaction& transaction);
    void create_missing(const GroupEntry& entry, const Members& members,
                        store::Transaction& transaction);
    void replace_outdated(const GroupEntry& entry, const Members& members,
                          store::Transaction& transaction);
    void commit(const std::string& group, store::Transaction transaction);

    store::EventLoop& loop_;
    store::Store& store_;
    Mirror& mirror_;
    std::set<std::string> to_look_at_;
    std::set<std::string> committing_;
    std::map<std::string, model::BackOff> back_off_;  // by the members' names
    std::shared_ptr<GroupController*> self_ = std::make_shared<GroupController*>(this);
};

}  // namespace shoal::node
