// One thread, which ends with its snapshot's beginning.
#include "vmm/api/drive_saving.h"

#include <exception>
#include <utility>

#include "vmm/migration/loop_calls.h"

namespace shoal::api {
namespace {

constexpr std::size_t stack_bytes = 128 << 10;

}  // namespace

DriveSaving::DriveSaving(migration::LoopCalls& calls, state::DriveCopies copies, Finish finish)
    : calls_{calls},
      copies_{std::move(copies)},
      finish_{std::move(finish)},
      thread_{"drives", stack_bytes, [this] { run(); }} {}

void DriveSaving::run() {
    try {
        copies_.copy_behind(is_stopped_);
        if (const auto failure = calls_.run([this] { finish_(std::move(copies_)); })) {
            sentence_ = *failure;
        }
    } catch (const std::exception& error) {
        sentence_ = error.what();
    }
    state_ = sentence_.empty() ? State::done : State::failed;
}

}  // namespace shoal::api
