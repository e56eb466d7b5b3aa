// The destination's guest: built, filled, loaded, run.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/clock.h"
#include "vmm/migration/destination.h"
#include "vmm/migration/hello.h"
#include "vmm/migration/packing.h"
#include "vmm/state/microvm_file.h"

namespace shoal::migration {
namespace {

// A guest does not stand still for longer: a host whose clock is that wrong is not believed.
constexpr std::uint64_t longest_ns = 60'000'000'000;

}  // namespace

Destination::Failure Destination::build(const Frame& hello) {
    hello_bytes_ = hello.payload;
    hello_ = decode_hello(hello_bytes_);
    if (Failure built = on_loop([this] {
            order_.adapt(hello_.config);
            drives_ = ReceivedDrives{hello_};
            vmm::MicrovmConfig config = hello_.config;
            if (hello_.is_post_copy) {
                // A huge page would bring zeros to the places of neighbours that are missing.
                config.machine.huge_pages = vmm::HugePages::none;
            }
            microvm_.build(config, hello_.cpu);
        })) {
        return built;
    }
    store_.emplace(microvm_.memory());
    missing_ = vmm::empty_set(microvm_.memory().size_bytes());
    page_counts_ = {store_->page_count(), drives_.page_counts()};
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
        if (frame.kind == FrameKind::sync) {
            if (Failure synced = sync_drives()) {
                return synced;
            }
        } else if (const auto why = store(frame)) {
            return Failure(Trouble{DestinationEvent::wire_lost, *why});
        }
    }
}

std::optional<std::string> Destination::store(const Frame& frame) {
    if (frame.kind != FrameKind::packed) {
        return store_run(frame);
    }
    Frame unpacked;
    const auto error = unpack(frame, unpacked);
    return error ? std::string{describe(*error)} : store_run(unpacked);
}

std::optional<std::string> Destination::store_run(const Frame& frame) {
    const auto run = read_page_run(frame, page_counts_);
    if (!run) {
        return std::string{describe(run.error())};
    }
    if (run->drive) {
        drives_.put(*run);
    } else if (filling_) {
        filling_->put(*run);
    } else if (!store_->put(*run)) {
        throw std::runtime_error("this host does not take pages of zeros back");
    }
    if (frame.kind == FrameKind::missing_pages) {
        vmm::add_range(missing_, {run->first_page, run->first_page + run->page_count});
        return {};
    }
    const std::scoped_lock lock{mutex_};
    progress_.remaining_pages = remaining_pages();
    (run->drive           ? progress_.drive_pages
     : run->bytes.empty() ? progress_.zero_pages
                          : progress_.pages) += run->page_count;
    return {};
}

Destination::Failure Destination::wait_for_further() {
    if (const auto why = further_->wait()) {
        return Failure(Trouble{DestinationEvent::wire_lost, *why});
    }
    return {};
}

Destination::Failure Destination::sync_drives() {
    if (Failure waited = wait_for_further()) {
        return waited;
    }
    drives_.sync();
    if (const auto why = channel_->send({FrameKind::synced, {}})) {
        return Failure(Trouble{DestinationEvent::wire_lost, *why});
    }
    return {};
}

// The drives are on the medium before the answer, even when the source did not ask for it.
Destination::Failure Destination::load(const Frame& frame) {
    if (Failure waited = wait_for_further()) {
        return waited;
    }
    vmm::SavedMicrovm saved = state::decode(frame.payload).microvm;
    Hello said = hello_;
    said.config = saved.config;  // the one here was adapted
    if (encode_hello(said) != hello_bytes_) {
        return Failure(Trouble{DestinationEvent::cannot,
                               "the state is not that of the configuration before it"});
    }
    saved.config = hello_.config;
    drives_.sync();
    if (hello_.is_post_copy) {
        expect_missing();
    }
    if (Failure loaded = on_loop([&] {
            kvm::ClockState& clock = saved.machine.clock;
            if (clock.realtime_ns != 0) {
                clock.realtime_ns = std::max(clock.realtime_ns, host::realtime_ns() - longest_ns);
            }
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
        is_filling_ = hello_.is_post_copy;
        progress_.total_us = us_since(started_);
    }
    drives_.keep();
    if (Failure resumed = on_loop([this] {
            order_.on_running(hello_.config);
            microvm_.arrive();
        })) {
        return resumed;
    }
    static_cast<void>(channel_->send({FrameKind::taken, {}}));
    if (hello_.is_post_copy) {
        fill_memory();
    }
    return {};
}

}  // namespace shoal::migration
