// Post-copy: the guest runs at the destination while the last of its memory is still here.
#include <iterator>

#include "vmm/machine/page_set.h"
#include "vmm/migration/page_run.h"
#include "vmm/migration/source.h"

namespace shoal::migration {

// Drives are whole before the guest runs there. While its devices are loaded they may want pages.
Source::Failure Source::announce_missing() {
    for (auto part = parts_.begin(); part != std::prev(parts_.end()); ++part) {
        if (Failure sent = send_pages(*part, 0, Zeros::are_to_be_sent)) {
            return sent;
        }
    }
    const Part& memory = parts_.back();
    for (auto range = vmm::next_range(memory.pages, 0); range;
         range = vmm::next_range(memory.pages, range->end)) {
        if (Failure sent = send(frame_of_missing(range->first, range->end - range->first))) {
            return sent;
        }
    }
    note_rest();
    page_server_.emplace(*memory.content, std::move(wants_->channel));
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
