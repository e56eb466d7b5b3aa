// One thread for each further connection.
#include "vmm/migration/receiving_lanes.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace shoal::migration {
namespace {

constexpr std::size_t stack_bytes = 512 << 10;

}  // namespace

ReceivingLanes::Lane::Lane(ReceivingLanes& all, Channel its)
    : channel{std::move(its)}, thread{"migration-lane", stack_bytes, [this, &all] {
                                          all.serve(*this);
                                      }} {}

ReceivingLanes::~ReceivingLanes() {
    for (const auto& lane : lanes_) {
        lane->channel.hang_up();
    }
}

void ReceivingLanes::add(Channel channel) {
    lanes_.push_back(std::make_unique<Lane>(*this, std::move(channel)));
}

std::optional<std::string> ReceivingLanes::wait() {
    std::unique_lock lock{mutex_};
    ++wanted_sync_count_;
    changed_.wait(lock, [&] {
        return failure_ || std::ranges::all_of(lanes_, [&](const auto& lane) {
                   return lane->sync_count >= wanted_sync_count_;
               });
    });
    return failure_;
}

void ReceivingLanes::serve(Lane& lane) noexcept {
    std::optional<std::string> failure;
    try {
        failure = receive_all(lane);
    } catch (const std::exception& error) {
        failure = error.what();
    }
    const std::scoped_lock lock{mutex_};
    failure_ = failure_ ? failure_ : failure;
    changed_.notify_all();
}

std::optional<std::string> ReceivingLanes::receive_all(Lane& lane) {
    Frame frame;
    while (true) {
        if (const auto why = lane.channel.receive(frame, [&] { return !is_waited_for(lane); })) {
            return why;
        }
        if (frame.kind == FrameKind::sync) {
            const std::scoped_lock lock{mutex_};
            ++lane.sync_count;
            changed_.notify_all();
        } else if (const auto why = store_(frame)) {
            return why;
        }
    }
}

// A connection over which nothing is to come just now may be silent.
bool ReceivingLanes::is_waited_for(const Lane& lane) {
    const std::scoped_lock lock{mutex_};
    return lane.sync_count < wanted_sync_count_;
}

}  // namespace shoal::migration
