// The destination's guest: built, filled, loaded, run.
#include <algorithm>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/clock.h"
#include "vmm/migration/destination.h"
#include "vmm/migration/hello.h"
#include "vmm/state/microvm_file.h"

namespace shoal::migration {
namespace {

// The guest's clock goes on as if it had run meanwhile. Not back, when the hosts' clocks differ.
void advance(kvm::ClockState& clock) {
    const std::uint64_t now_ns = host::realtime_ns();
    // A guest does not stand still for longer: a host whose clock is that wrong is not believed.
    constexpr std::uint64_t longest_ns = 60'000'000'000;
    if (clock.realtime_ns != 0 && now_ns > clock.realtime_ns) {
        clock.guest_ns += std::min(now_ns - clock.realtime_ns, longest_ns);
    }
}

}  // namespace

Destination::Failure Destination::build(const Frame& hello) {
    hello_ = hello.payload;
    config_ = decode_hello(hello_);
    if (Failure built = on_loop([this] {
            order_.adapt(config_);
            microvm_.build(config_);
        })) {
        return built;
    }
    store_.emplace(microvm_.memory());
    return answer(DestinationEvent::hello);
}

Destination::Failure Destination::receive_guest() {
    Frame frame;
    while (true) {
        if (Failure received = receive(frame)) {
            return received;
        }
        if (frame.kind == FrameKind::state) {
            return load(frame);
        }
        if (Failure stored = store(frame)) {
            return stored;
        }
    }
}

Destination::Failure Destination::store(const Frame& frame) {
    if (frame.kind != FrameKind::pages && frame.kind != FrameKind::zero_pages) {
        return Failure(
            Trouble{DestinationEvent::wire_lost, "the source sent a message out of turn"});
    }
    const auto run = read_page_run(frame, store_->page_count());
    if (!run) {
        return Failure(Trouble{DestinationEvent::wire_lost, std::string{describe(run.error())}});
    }
    if (!store_->put(*run)) {
        return Failure(
            Trouble{DestinationEvent::cannot, "this host does not take pages of zeros back"});
    }
    const std::scoped_lock lock{mutex_};
    (run->bytes.empty() ? progress_.zero_pages : progress_.pages) += run->page_count;
    return {};
}

Destination::Failure Destination::load(const Frame& frame) {
    vmm::SavedMicrovm saved = state::decode(frame.payload).microvm;
    if (encode_hello(saved.config) != hello_) {
        return Failure(Trouble{DestinationEvent::cannot,
                               "the state is not that of the configuration before it"});
    }
    saved.config = config_;
    if (Failure loaded = on_loop([&] {
            advance(saved.machine.clock);
            microvm_.load(saved);
        })) {
        return loaded;
    }
    return answer(DestinationEvent::state);
}

// From the commit on the guest runs here, whatever becomes of the wire.
Destination::Failure Destination::run_guest() {
    Frame frame;
    if (Failure received = receive(frame)) {
        return received;
    }
    if (frame.kind != FrameKind::commit) {
        return Failure(
            Trouble{DestinationEvent::wire_lost, "the source sent a message out of turn"});
    }
    {
        const std::scoped_lock lock{mutex_};
        if (is_cancelled_) {
            return Failure(Trouble{DestinationEvent::cannot, "it was cancelled"});
        }
        const auto step = next(phase_, DestinationEvent::commit);
        SHOAL_CHECK(step);
        phase_ = step->phase;
        progress_.total_us = us_since(started_);
    }
    if (Failure resumed = on_loop([this] {
            order_.on_running(config_);
            microvm_.arrive();
        })) {
        return resumed;
    }
    static_cast<void>(channel_->send({FrameKind::taken, {}}));
    return {};
}

}  // namespace shoal::migration
