// The source's rounds over memory and drives while the guest runs.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/log.h"
#include "vmm/migration/page_run.h"
#include "vmm/migration/source.h"

namespace shoal::migration {

std::vector<Source::Part> Source::open_drives() {
    std::vector<Part> parts;
    for (const std::string& id : order_.copied_drives) {
        virtio::BlockContent content = microvm_.drive_content(id);
        if (content.size_bytes > max_drive_bytes) {
            throw std::runtime_error("the drive " + id +
                                     " is larger than 1 TiB, the most that is "
                                     "copied");
        }
        drives_.push_back({id, content.size_bytes});
        const auto idx = static_cast<std::uint32_t>(parts.size());
        auto drive = std::make_unique<DriveContent>(idx, std::move(content));
        PageSet pages = drive->data();
        parts.push_back({std::move(drive), std::move(pages)});
    }
    return parts;
}

Source::Failure Source::copy() {
    // The log first: what is written to a page after it was found untouched is in the log.
    if (Failure logging = on_loop([this] {
            parts_.push_back(
                {std::make_unique<MemoryContent>(microvm_.memory(), microvm_.log_pages()), {}});
        })) {
        return logging;
    }
    parts_.back().pages = parts_.back().content->data();
    Zeros zeros = Zeros::are_there;  // the destination's memory and files are new
    while (true) {
        note_rest();
        const std::uint64_t pages = pages_left();
        {
            const std::scoped_lock lock{mutex_};
            ++progress_.rounds;
        }
        if (Failure sent = send_round(std::exchange(zeros, Zeros::are_to_be_sent))) {
            return sent;
        }
        if (Failure synced = sync_drives()) {
            return synced;
        }
        take_written();
        note_rest();
        if (order_.is_post_copy) {
            return name_missing_early();
        }
        if (downtime_of_rest() <= order_.max_downtime) {
            return {};
        }
        const Progress now = progress();
        if (now.rounds >= order_.max_rounds) {
            host::log(host::LogLevel::warn,
                      "migration: " + std::to_string(pages_left()) + " pages are left after " +
                          std::to_string(now.rounds) +
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
        if (pages_left() < pages_before - pages_before / 4 ||
            percent <= progress_.throttle_percent) {
            return {};
        }
        progress_.throttle_percent = percent;
    }
    return on_loop([this, percent] { microvm_.throttle(percent); });
}

void Source::take_written() {
    for (Part& part : parts_) {
        part.content->take_written(part.pages);
    }
}

std::uint64_t Source::pages_left() const {
    std::uint64_t pages = 0;
    for (const Part& part : parts_) {
        pages += count_pages(part.pages);
    }
    return pages;
}

// Without the time of a sync, which is the same however little is left.
std::chrono::microseconds Source::downtime_of_rest() const {
    const std::uint64_t memory_pages = count_pages(parts_.back().pages);
    return pace_.expected_downtime(memory_pages * page_bytes) +
           drive_pace_.time_of((pages_left() - memory_pages) * page_bytes);
}

void Source::note_rest() {
    const std::uint64_t memory_pages = count_pages(parts_.back().pages);
    const std::uint64_t drive_pages = pages_left() - memory_pages;
    const std::scoped_lock lock{mutex_};
    progress_.remaining_pages = memory_pages;
    progress_.remaining_drive_pages = drive_pages;
    note_pace();
}

// The mutex is held. Nothing is expected before there is a rate.
void Source::note_pace() {
    progress_.bytes_per_s = pace_.bytes_per_s();
    const bool is_measured = progress_.bytes_per_s > 0 && (progress_.remaining_drive_pages == 0 ||
                                                           drive_pace_.bytes_per_s() > 0);
    const auto downtime = pace_.expected_downtime(progress_.remaining_pages * page_bytes) +
                          drive_pace_.time_of(progress_.remaining_drive_pages * page_bytes) +
                          shortest_sync_.value_or(Clock::duration{});
    progress_.expected_downtime_us =
        is_measured ? static_cast<std::uint64_t>(
                          std::chrono::duration_cast<std::chrono::microseconds>(downtime).count())
                    : 0;
}

// What a round brought is on the destination's medium before the next one, so that little is left
// to be synced while the guest stands still.
Source::Failure Source::sync_drives() {
    if (drives_.empty()) {
        return {};
    }
    const Clock::time_point start = Clock::now();
    if (Failure synced = sync_further()) {
        return synced;
    }
    if (Failure sent = send({FrameKind::sync, {}})) {
        return sent;
    }
    if (Failure synced = expect(FrameKind::synced)) {
        return synced;
    }
    const Clock::duration took = Clock::now() - start;
    // What every sync takes is not the bytes' fault.
    drive_pace_.add(0, took - std::min(shortest_sync_.value_or(Clock::duration{}), took));
    shortest_sync_ = std::min(shortest_sync_.value_or(took), took);
    return {};
}

}  // namespace shoal::migration
