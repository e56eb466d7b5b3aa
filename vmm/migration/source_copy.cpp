// The source's rounds over the guest's memory while the guest runs.
#include <algorithm>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/log.h"
#include "vmm/migration/page_run.h"
#include "vmm/migration/source.h"

namespace shoal::migration {

Source::Failure Source::copy() {
    // The log first: what is written to a page after it was found untouched is in the log.
    if (Failure logging = on_loop([this] { log_ = microvm_.log_pages(); })) {
        return logging;
    }
    pages_ = vmm::touched_pages(microvm_.memory());
    Zeros zeros = Zeros::are_there;  // the destination's memory is new
    while (true) {
        const std::uint64_t pages = vmm::count_pages(pages_);
        {
            const std::scoped_lock lock{mutex_};
            ++progress_.rounds;
            progress_.remaining_pages = pages;
        }
        if (Failure sent = send_pages(std::exchange(zeros, Zeros::are_to_be_sent))) {
            return sent;
        }
        log_->take(pages_);
        note_rest();
        const Progress now = progress();
        if (now.expected_downtime_us <= static_cast<std::uint64_t>(order_.max_downtime.count())) {
            return {};
        }
        if (now.rounds >= order_.max_rounds) {
            host::log(host::LogLevel::warn,
                      "migration: " + std::to_string(now.remaining_pages) +
                          " pages are left after " + std::to_string(now.rounds) +
                          " rounds, the most that there are: the guest is stopped all the same");
            return {};
        }
        if (Failure throttled = throttle(pages)) {
            return throttled;
        }
    }
}

// A round that leaves nearly as much as it had will not be followed by a smaller one.
Source::Failure Source::throttle(std::uint64_t pages_before) {
    constexpr std::uint32_t step_percent = 20;
    std::uint32_t percent = 0;
    {
        const std::scoped_lock lock{mutex_};
        percent = std::min(progress_.throttle_percent + step_percent, order_.max_throttle_percent);
        if (progress_.remaining_pages < pages_before - pages_before / 4 ||
            percent <= progress_.throttle_percent) {
            return {};
        }
        progress_.throttle_percent = percent;
    }
    return on_loop([this, percent] { microvm_.throttle(percent); });
}

void Source::note_rest() {
    const std::uint64_t left = vmm::count_pages(pages_);
    const std::scoped_lock lock{mutex_};
    progress_.remaining_pages = left;
    progress_.bytes_per_s = pace_.bytes_per_s();
    progress_.expected_downtime_us =
        static_cast<std::uint64_t>(pace_.expected_downtime(left * page_bytes).count());
}

// Empties the set.
Source::Failure Source::send_pages(Zeros zeros) {
    PageScan scan{microvm_.memory().bytes(), pages_};
    Clock::time_point before = Clock::now();
    while (const auto frame = scan.next()) {
        if (frame->kind == FrameKind::pages || zeros == Zeros::are_to_be_sent) {
            if (Failure sent = send(*frame)) {
                return sent;
            }
        }
        const Clock::time_point now = Clock::now();
        pace_.add(frame->payload.size(), now - before);
        note_run(*frame);
        if (Failure waited = wait_for_limit(frame->payload.size(), now)) {
            return waited;
        }
        before = Clock::now();
    }
    return {};
}

void Source::note_run(const Frame& frame) {
    const auto run = read_page_run(frame, microvm_.memory().size_bytes() / page_bytes);
    SHOAL_CHECK(run);
    const std::scoped_lock lock{mutex_};
    (run->bytes.empty() ? progress_.zero_pages : progress_.pages) += run->page_count;
    progress_.remaining_pages -= std::min(progress_.remaining_pages, run->page_count);
    progress_.bytes_per_s = pace_.bytes_per_s();
}

// Once the guest stands still there is no limit. An interrupt is noticed here in any case.
Source::Failure Source::wait_for_limit(std::uint64_t bytes, Clock::time_point now) {
    const Clock::duration wait =
        phase() == SourcePhase::copying ? pace_.spend(bytes, now) : Clock::duration{};
    constexpr int no_descriptor = -1;
    const auto waited = wait_until_ready(
        no_descriptor, 0, interrupt_, std::chrono::duration_cast<std::chrono::milliseconds>(wait));
    if (!waited && waited.error() == WireError::interrupted) {
        return Failure(Trouble{SourceEvent::wire_lost, std::string{describe(waited.error())}});
    }
    return {};
}

Source::Failure Source::send(const Frame& frame) {
    if (const auto why = channel_->send(frame)) {
        return Failure(Trouble{SourceEvent::wire_lost, *why});
    }
    const std::scoped_lock lock{mutex_};
    progress_.bytes += frame.payload.size() + frame_head_bytes;
    return {};
}

}  // namespace shoal::migration
