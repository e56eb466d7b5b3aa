// DriveSaving: copies the drives of a snapshot beside the loop, while the guest runs.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "vmm/machine/thread.h"
#include "vmm/state/drive_copy.h"

namespace shoal::migration {
class LoopCalls;
}

namespace shoal::api {

class DriveSaving {
public:
    enum class State { copying, done, failed };
    // On the loop's thread, when little is left of them: makes the snapshot. What it throws is why
    // there is none.
    using Finish = std::function<void(state::DriveCopies)>;

    // Borrows `calls`.
    DriveSaving(migration::LoopCalls& calls, state::DriveCopies copies, Finish finish);
    DriveSaving(const DriveSaving&) = delete;
    DriveSaving& operator=(const DriveSaving&) = delete;
    // While it copies, once the loop has stopped for good and `calls` are abandoned.
    ~DriveSaving() { is_stopped_ = true; }

    [[nodiscard]] State state() const noexcept { return state_; }
    // Why it failed.
    [[nodiscard]] const std::string& sentence() const noexcept { return sentence_; }

private:
    void run();

    migration::LoopCalls& calls_;
    state::DriveCopies copies_;
    Finish finish_;
    std::string sentence_;  // before `state_` says so
    std::atomic<State> state_ = State::copying;
    std::atomic<bool> is_stopped_ = false;
    vmm::Thread thread_;
};

}  // namespace shoal::api
