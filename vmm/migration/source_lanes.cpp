// The source's connections, and how a round's pages cross them.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <utility>

#include "vmm/migration/page_scan.h"
#include "vmm/migration/source.h"

namespace shoal::migration {
namespace {

constexpr std::size_t stack_bytes = 512 << 10;

}  // namespace

Source::Failure Source::connect(host::UniqueFd socket) {
    const auto connected = wait_until_ready(socket.get(), POLLOUT, interrupt_);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (!connected || error != 0) {
        return Failure(Trouble{SourceEvent::wire_lost,
                               "cannot connect to " + to_text(order_.to) + ": " +
                                   (connected ? std::string{std::strerror(error)}
                                              : std::string{describe(connected.error())})});
    }
    auto lane =
        std::make_unique<Lane>(Channel{make_wire(order_.tls.get(), std::move(socket), interrupt_)});
    if (order_.compression == Compression::zstd) {
        lane->packer.emplace();
    }
    lanes_.push_back(std::move(lane));
    return {};
}

Source::Failure Source::connect_further() {
    for (std::uint32_t idx = 0; idx < further_.count; ++idx) {
        if (Failure connected = connect(start_connecting(order_.to))) {
            return connected;
        }
        if (Failure joined =
                send(lanes_.size() - 1,
                     {FrameKind::join, {further_.token.begin(), further_.token.end()}})) {
            return joined;
        }
    }
    if (order_.is_post_copy) {
        wants_ = std::move(lanes_.back());
        lanes_.pop_back();
    }
    return {};
}

// All pages of this round have come over the further connections before the next message that comes
// over the first.
Source::Failure Source::sync_further() {
    for (std::size_t lane = 1; lane < lanes_.size(); ++lane) {
        if (Failure sent = send(lane, {FrameKind::sync, {}})) {
            return sent;
        }
    }
    return {};
}

Source::Failure Source::send_round(Zeros zeros) {
    std::vector<Failure> failures(lanes_.size());
    {
        std::list<vmm::Thread> threads;
        for (std::size_t lane = 1; lane < lanes_.size(); ++lane) {
            threads.emplace_back("migration-lane", stack_bytes, [this, lane, zeros, &failures] {
                failures[lane] = send_stripe(lane, zeros);
            });
        }
        failures.front() = send_stripe(0, zeros);
    }
    for (Failure& failure : failures) {
        if (failure) {
            return failure;
        }
    }
    return {};
}

// The drives first: while they cross, the guest writes to memory that crosses after them.
Source::Failure Source::send_stripe(std::size_t lane, Zeros zeros) noexcept {
    Failure failure;
    try {
        for (auto part = parts_.begin(); part != parts_.end() && !failure; ++part) {
            failure = send_pages(*part, lane, zeros);
        }
    } catch (const std::exception& error) {
        failure = Failure(Trouble{SourceEvent::wire_lost, error.what()});
    }
    if (failure) {
        const std::scoped_lock lock{mutex_};
        lane_failed_ = true;
    }
    return failure;
}

// Empties its stripe of the set.
Source::Failure Source::send_pages(Part& part, std::size_t lane, Zeros zeros) {
    PageScan scan{*part.content, part.pages, {lane, lanes_.size()}};
    Clock::time_point before = Clock::now();
    while (const auto run = scan.next()) {
        std::uint64_t bytes = 0;
        if (!run->bytes.empty() || zeros == Zeros::are_to_be_sent) {
            Frame frame = frame_of(*run);
            if (auto& packer = lanes_[lane]->packer) {
                frame = packer->pack(frame).value_or(std::move(frame));
            }
            bytes = frame.payload.size();
            if (Failure sent = send(lane, frame)) {
                return sent;
            }
        }
        if (Failure waited = wait_for_limit(note_run(*run, bytes, before))) {
            return waited;
        }
        before = Clock::now();
    }
    return {};
}

// Compressed pages count as what they were, but against the limit as what crosses.
Clock::duration Source::note_run(const PageRun& run, std::uint64_t bytes, Clock::time_point since) {
    const Clock::time_point now = Clock::now();
    const std::scoped_lock lock{mutex_};
    (run.drive           ? progress_.drive_pages
     : run.bytes.empty() ? progress_.zero_pages
                         : progress_.pages) += run.page_count;
    std::uint64_t& rest = run.drive ? progress_.remaining_drive_pages : progress_.remaining_pages;
    rest -= std::min(rest, run.page_count);
    // All connections at the same time.
    (run.drive ? drive_pace_ : pace_)
        .add(run.bytes.size(), (now - since) / static_cast<int>(lanes_.size()));
    note_pace();
    if (lane_failed_) {
        return Clock::duration{-1};
    }
    // Once the guest stands still there is no limit.
    return phase_ == SourcePhase::copying ? pace_.spend(bytes, now) : Clock::duration{};
}

// An interrupt is noticed here in any case.
Source::Failure Source::wait_for_limit(Clock::duration wait) {
    if (wait < Clock::duration{}) {
        return Failure(Trouble{SourceEvent::wire_lost, std::string{describe(WireError::closed)}});
    }
    constexpr int no_descriptor = -1;
    const auto waited = wait_until_ready(
        no_descriptor, 0, interrupt_, std::chrono::duration_cast<std::chrono::milliseconds>(wait));
    if (!waited && waited.error() == WireError::interrupted) {
        return Failure(Trouble{SourceEvent::wire_lost, std::string{describe(waited.error())}});
    }
    return {};
}

Source::Failure Source::send(const Frame& frame) {
    return send(0, frame);
}

Source::Failure Source::send(std::size_t lane, const Frame& frame) {
    if (const auto why = lanes_[lane]->channel.send(frame)) {
        return Failure(Trouble{SourceEvent::wire_lost, *why});
    }
    const std::scoped_lock lock{mutex_};
    progress_.bytes += frame.payload.size() + frame_head_bytes;
    return {};
}

}  // namespace shoal::migration
