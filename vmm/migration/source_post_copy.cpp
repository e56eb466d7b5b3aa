// Post-copy: the guest runs at the destination while the last of its memory is still here.
#include <algorithm>
#include <iterator>

#include "vmm/machine/page_set.h"
#include "vmm/migration/page_run.h"
#include "vmm/migration/source.h"

namespace shoal::migration {

// While the guest runs: to give back many pages takes the destination long (some 0.2 ms a MiB).
Source::Failure Source::name_missing_early() {
    if (Failure named = name_missing()) {
        return named;
    }
    if (Failure sent = send({FrameKind::sync, {}})) {
        return sent;
    }
    return expect(FrameKind::synced);
}

// Those that were not named before.
Source::Failure Source::name_missing() {
    const PageSet& missing = parts_.back().pages;
    named_.resize(missing.size());
    PageSet fresh = missing;
    std::ranges::transform(missing, named_, fresh.begin(),
                           [](std::uint64_t all, std::uint64_t old) { return all & ~old; });
    for (auto range = vmm::next_range(fresh, 0); range;
         range = vmm::next_range(fresh, range->end)) {
        if (Failure sent = send(frame_of_missing(range->first, range->end - range->first))) {
            return sent;
        }
    }
    named_ = missing;
    return {};
}

// Drives are whole before the guest runs there. While its devices are loaded they may want pages.
Source::Failure Source::send_rest_of_post_copy() {
    for (auto part = parts_.begin(); part != std::prev(parts_.end()); ++part) {
        if (Failure sent = send_pages(*part, 0, Zeros::are_to_be_sent)) {
            return sent;
        }
    }
    if (Failure named = name_missing()) {
        return named;
    }
    note_rest();
    page_server_.emplace(*parts_.back().content, std::move(wants_->channel));
    return {};
}

Source::Failure Source::push_missing() {
    if (Failure sent = send_round(Zeros::are_to_be_sent)) {
        return sent;
    }
    if (Failure sent = send({FrameKind::sync, {}})) {
        return sent;
    }
    if (Failure synced = expect(FrameKind::synced)) {
        return synced;
    }
    {
        const std::scoped_lock lock{mutex_};
        progress_.total_us = us_since(started_);
    }
    return enter(SourceEvent::filled);
}

}  // namespace shoal::migration
