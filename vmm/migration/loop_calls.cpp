// Posting work and waiting for it.
#include "vmm/migration/loop_calls.h"

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace shoal::migration {
namespace {

// What went wrong.
using Outcome = std::optional<std::string>;

Outcome outcome_of(const std::function<void()>& work) {
    try {
        work();
        return {};
    } catch (const std::exception& error) {
        return std::string{error.what()};
    }
}

}  // namespace

struct LoopCalls::State {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_abandoned = false;
};

LoopCalls::LoopCalls(boost::asio::io_context& loop)
    : loop_{loop}, state_{std::make_shared<State>()} {}

Outcome LoopCalls::run(std::function<void()> work) {
    const auto outcome = std::make_shared<std::optional<Outcome>>();
    boost::asio::post(loop_, [state = state_, outcome, work = std::move(work)] {
        Outcome result = outcome_of(work);
        const std::scoped_lock lock{state->mutex};
        outcome->emplace(std::move(result));
        state->changed.notify_all();
    });
    std::unique_lock lock{state_->mutex};
    state_->changed.wait(lock, [&] { return state_->is_abandoned || outcome->has_value(); });
    return outcome->value_or(std::string{"this process ends"});
}

void LoopCalls::abandon() noexcept {
    const std::scoped_lock lock{state_->mutex};
    state_->is_abandoned = true;
    state_->changed.notify_all();
}

}  // namespace shoal::migration
