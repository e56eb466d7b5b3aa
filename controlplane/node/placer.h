// Placer: admission on a single host, where no scheduler decides. Places what fits into what the
// host has to give, higher priorities first, then the older; what does not fit says why.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "controlplane/model/resources.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/room.h"

namespace shoal::node {

struct PlacerSettings {
    std::string host;  // this host's name
    model::Resources allocatable;
};

class Placer final : public MirrorListener {
public:
    // Borrows all.
    Placer(store::EventLoop& loop, store::Store& store, Mirror& mirror, PlacerSettings settings);
    Placer(const Placer&) = delete;
    Placer& operator=(const Placer&) = delete;
    ~Placer() override = default;

    // Once the mirror is ready.
    void start();

    // Room that is kept for a microVM while it is being committed, for as long as this lives.
    class Reservation {
    public:
        Reservation(Placer& placer, const model::MicroVmSpec& spec);
        Reservation(const Reservation&) = delete;
        Reservation& operator=(const Reservation&) = delete;
        ~Reservation();

        // What is to be committed beside the microVM.
        void add_to(store::Transaction& transaction) const;

    private:
        std::weak_ptr<Placer*> placer_;
        std::string host_;
        std::string name_;
    };
    // Whoever creates a microVM may place it at once, and so spare a commit. Null when there is no
    // room, or when others wait for it.
    [[nodiscard]] std::shared_ptr<Reservation> reserve(const model::MicroVmSpec& spec);

    // What is placed and has not ended, or is being committed.
    [[nodiscard]] model::Resources used() const;

private:
    void on_microvm_changed(const std::string& name) override;
    void on_host_changed(const std::string&) override { look_at_all(); }

    void look_at_all();
    void look_soon();
    void look();
    void look_at(const MicroVm& microvm, model::Resources& free);
    // Why the host takes no more; empty: it does.
    [[nodiscard]] std::string refusal() const;
    [[nodiscard]] bool has_waiting() const;
    [[nodiscard]] model::Resources free() const;
    void committed(const std::string& name);
    void place(const MicroVm& microvm);
    void explain(const MicroVm& microvm, const std::string& reason);
    void forget(const MicroVm& microvm);
    void commit(const MicroVm& microvm, store::Transaction transaction);

    store::EventLoop& loop_;
    store::Store& store_;
    Mirror& mirror_;
    PlacerSettings settings_;
    Room room_;
    std::set<Waiting> to_look_at_;  // What has no room is looked at again when there is more.
    bool is_to_look_at_all_ = false;
    bool will_look_ = false;
    std::map<std::string, model::Resources> committing_;  // what they will use
    std::shared_ptr<Placer*> self_ = std::make_shared<Placer*>(this);
};

}  // namespace shoal::node
