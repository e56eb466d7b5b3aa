// NodeAgent: makes this host's processes what the store says, again and again: level-triggered.
// Nothing but the store and the run folders is remembered, so that it may be killed at any moment.
//
// A microVM with a placement here, under this host's epoch, runs as Attempt{name, created,
// restarts}. How an attempt ended is committed to the store first, its folder is deleted then;
// processes of any other attempt are ended.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "controlplane/model/back_off.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/mover.h"
#include "controlplane/node/process/runner.h"
#include "controlplane/node/provisions.h"

namespace shoal::node {

struct NodeSettings {
    std::string host;         // this host's name
    std::string log_folder;   // of the microVMs' output; must exist
    std::string run_command;  // path of `shoal`
    std::string fence{};      // the file of VMMs' deadline; empty: a host alone, which has none
};

class NodeAgent final : public MirrorListener, public RunnerListener, private MoveAgent {
public:
    // Borrows all.
    NodeAgent(store::EventLoop& loop, store::Store& store, Mirror& mirror, Runner& runner,
              NodeSettings settings);
    NodeAgent(const NodeAgent&) = delete;
    NodeAgent& operator=(const NodeAgent&) = delete;
    ~NodeAgent() override = default;

    // Borrowed; before start(). Without it microVMs are programs alone.
    void set_provisions(Provisions& provisions) { provisions_ = &provisions; }
    // Borrowed; before start(). Of a host among others, which has migrations.
    void set_mover(Mover& mover);

    // Once the mirror is ready: looks at all that is wanted and all that is there. Nothing is done
    // before, nor before take().
    void start();
    // What is placed here under this epoch is this host's to run; a host alone has epoch 0.
    void take(model::Epoch epoch);
    // Others own what is here: all of it is killed. `when_gone`: nothing is left.
    void give_up(std::function<void()> when_gone);

    [[nodiscard]] std::string log_of(const std::string& name) const override;

private:
    void on_microvm_changed(const std::string& name) override { look_at(name); }
    void on_attempt_changed(const std::string& name) override { look_at(name); }

    void look_at_all();
    void look_at(const std::string& name) override;
    void look_later(const std::string& name, store::EventLoop::Duration delay);
    void look();
    void reconcile(const std::string& name);
    [[nodiscard]] bool is_here(const MicroVm& microvm) const;
    void look_from_afar(const std::string& name, const MicroVm* microvm);
    [[nodiscard]] bool end_all_but(const Attempt* kept, const std::string& name);
    void kill_all(const std::string& name);
    [[nodiscard]] bool stop_processes(const MicroVm& microvm, const Attempt& attempt,
                                      const Observation& seen, const model::Deletion& wanted);
    void end_for_good(const MicroVm& microvm, const Attempt& attempt);
    void stop(const MicroVm& microvm, const Attempt& attempt);
    void release(const std::string& name, const MicroVm& microvm,
                 store::Transaction transaction = {});
    void run(const MicroVm& microvm, const Attempt& attempt);
    void on_vanished(const MicroVm& microvm, const Observation& seen);
    void on_ended(const MicroVm& microvm, const Attempt& attempt, const Observation& seen);
    void start_attempt(const MicroVm& microvm, const Attempt& attempt);
    void begin_anew(const MicroVm& microvm, const std::string& reason);
    void give_back(const MicroVm& microvm, const std::string& reason);
    [[nodiscard]] bool has_volumes_elsewhere(const MicroVm& microvm) const;
    void postpone(const MicroVm& microvm, const std::string& reason);
    void record_end(const MicroVm& microvm, const Exit& exit, const Observation& seen);
    // `transaction`: what else is written with it.
    static void forget_checkpoint(const MicroVm& microvm, const std::string& name,
                                  store::Transaction& transaction);
    void commit_status(const MicroVm& microvm, model::MicroVmStatus status,
                       store::Transaction transaction = {});
    void commit(const std::string& name, store::Transaction transaction) override;
    void committed(const std::string& name, store::Result<Revision> result);

    store::EventLoop& loop_;
    store::Store& store_;
    Mirror& mirror_;
    Runner& runner_;
    NodeSettings settings_;
    Provisions* provisions_ = nullptr;
    Mover* mover_ = nullptr;
    bool is_started_ = false;
    std::optional<model::Epoch> epoch_;
    std::function<void()> when_gone_;  // while giving up
    std::set<std::string> to_look_at_;
    std::set<std::string> committing_;  // nothing is decided before the answer is seen
    std::map<std::string, model::BackOff> back_off_;
    std::shared_ptr<NodeAgent*> self_ = std::make_shared<NodeAgent*>(this);
};

}  // namespace shoal::node
