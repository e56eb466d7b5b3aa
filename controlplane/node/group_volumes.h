// GroupVolumes: the volumes that groups want for their members (model::VolumeClaim), those of this
// host: made when a member is started that lacks them, deleted when their group is gone and nobody
// has them any more.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/volume_changes.h"

namespace shoal::node {

class GroupVolumes final : public MirrorListener {
public:
    // Borrows all but the name of this host.
    GroupVolumes(store::EventLoop& loop, Mirror& mirror, VolumeChanges& changes, std::string host)
        : loop_{loop}, mirror_{mirror}, changes_{changes}, host_{std::move(host)} {}
    GroupVolumes(const GroupVolumes&) = delete;
    GroupVolumes& operator=(const GroupVolumes&) = delete;
    ~GroupVolumes() override = default;

    // Once the mirror is ready.
    void start();

    // Of a microVM that is placed here and is to be started. Throws NotYet (provisions.h) until the
    // volumes that its group wants for it are there.
    void expect(const MicroVm& microvm);

private:
    void on_microvm_changed(const std::string& name) override;
    void on_group_changed(const std::string& name) override;
    void on_host_changed(const std::string& name) override;

    void expect(const MicroVm& member, const GroupEntry& group, const model::VolumeClaim& claim);
    void make(const MicroVm& member, const GroupEntry& group, const model::VolumeClaim& claim);
    [[nodiscard]] bool is_stale(const model::Volume& volume) const;
    void adopt(const Object<model::Volume>& volume);
    [[nodiscard]] std::string user_of(const std::string& volume) const;
    void look_soon(store::EventLoop::Duration delay = {});
    void look();
    void remove(const Object<model::Volume>& volume);

    store::EventLoop& loop_;
    Mirror& mirror_;
    VolumeChanges& changes_;
    std::string host_;
    std::map<std::string, std::string>
        failures_;                 // by volume: why it was not made, to be told once
    std::set<std::string> stale_;  // volumes whose group is gone, on any host: they may come here
    bool will_look_ = false;
    std::shared_ptr<GroupVolumes*> self_ = std::make_shared<GroupVolumes*>(this);
};

}  // namespace shoal::node
