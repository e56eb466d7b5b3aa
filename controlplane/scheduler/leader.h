// Leader: a shoald's part in the election of who schedules, and the controller while it leads. Who
// leads also has the store forget what is old.
#pragma once

#include <memory>
#include <string>

#include "controlplane/failover/leadership.h"
#include "controlplane/scheduler/compactor.h"
#include "controlplane/scheduler/controller.h"

namespace shoal::scheduler {

class Leader final : private failover::LeadershipListener {
public:
    // Borrows loop and store. `name` is the host's.
    Leader(store::EventLoop& loop, store::Store& store, const std::string& name,
           ControllerSettings settings = {}, failover::LeadershipTimes times = {})
        : loop_{loop},
          store_{store},
          settings_{settings},
          record_{loop, store, settings.watch.silence},
          leadership_{loop, store, name, *this, times, &record_},
          compactor_{loop, store, leadership_} {}

    void start() {
        record_.start();
        leadership_.start();
        compactor_.start();
    }
    // Null: another one leads.
    [[nodiscard]] Controller* controller() noexcept { return controller_.get(); }

private:
    void on_leading() override {
        controller_ = std::make_unique<Controller>(loop_, store_, leadership_, settings_, &record_);
        controller_->start();
    }
    void on_following() override { controller_.reset(); }

    store::EventLoop& loop_;
    store::Store& store_;
    ControllerSettings settings_;
    failover::SilenceRecord record_;
    failover::Leadership leadership_;
    Compactor compactor_;
    std::unique_ptr<Controller> controller_;
};

}  // namespace shoal::scheduler
