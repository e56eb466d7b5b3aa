// Post-copy: the guest runs here while the last of its memory is still at the source.
#include <algorithm>
#include <utility>

#include "vmm/machine/userfaultfd.h"
#include "vmm/migration/destination.h"

namespace shoal::migration {

// From here on who touches a page that is missing, be it the event loop as it loads a device, waits
// for it.
void Destination::expect_missing() {
    filling_.emplace(microvm_.memory(), std::move(missing_), std::move(*wants_),
                     [this](const std::string& why) { lose_memory(why); });
    const std::scoped_lock lock{mutex_};
    progress_.remaining_pages = remaining_pages();
}

// The last ones that are counted may still be on their way, over the connection of what the guest
// waits for: until all are there it is at least one.
std::uint64_t Destination::remaining_pages() const noexcept {
    return filling_ ? std::max<std::uint64_t>(filling_->count(), 1) : 0;
}

// Until the commit a loss is no more than a guest that never ran here. Of a process that ends in
// any case nothing is to be said.
void Destination::lose_memory(const std::string& why) noexcept {
    bool has_run = false;
    {
        const std::scoped_lock lock{mutex_};
        if (is_stopped_) {
            return;
        }
        has_run = phase_ == DestinationPhase::running;
    }
    vmm::end_without_memory(
        "migration: the rest of the guest's memory was at the source, and is lost: " + why,
        has_run ? vmm::ExitCode::failure : vmm::ExitCode::discarded);
}

// The guest has run here: without the rest of its memory it is lost. With all of it, it needs the
// source no more.
void Destination::fill_memory() {
    const auto why = receive_missing();
    if (filling_->count() > 0) {
        lose_memory(why.value_or("it did not send all of it"));
        return;
    }
    filling_.reset();
    static_cast<void>(channel_->send({FrameKind::synced, {}}));
    const std::scoped_lock lock{mutex_};
    progress_.remaining_pages = 0;
    is_filling_ = false;
}

std::optional<std::string> Destination::receive_missing() noexcept {
    try {
        Frame frame;
        while (true) {
            if (const auto why = channel_->receive(frame)) {
                return why;
            }
            count_bytes(frame);
            if (frame.kind == FrameKind::sync) {
                return std::nullopt;
            }
            if (const auto why = store(frame)) {
                return why;
            }
        }
    } catch (const std::exception& error) {
        return error.what();
    }
}

}  // namespace shoal::migration
