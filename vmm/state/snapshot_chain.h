// SnapshotChain: what a microVM's next snapshot differs from, and in which pages.
#pragma once

#include <memory>
#include <optional>

#include "vmm/machine/page_log.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/memory_mark.h"

namespace shoal::state {

// On the event loop's thread. Goes before the microVM does.
class SnapshotChain {
public:
    // The memory is that of `id` now. Without a log nobody knows what is written from then on.
    void loaded(const SnapshotId& id, std::unique_ptr<vmm::PageLog> log);

    // For the first snapshot of a microVM that was booted: from now on the log knows.
    [[nodiscard]] bool has_log() const noexcept { return log_ != nullptr; }
    void keep(std::unique_ptr<vmm::PageLog> log);

    // A snapshot of `memory` is being made, while the guest stands still. made() or failed()
    // follows.
    void begin(const machine::GuestMemory& memory);
    // In between: what it differs in from the latest one before; every page that was touched, when
    // there is no log; nothing, when there is none before.
    [[nodiscard]] std::optional<Difference> difference(const machine::GuestMemory& memory) const;
    void made(const SnapshotId& id);
    [[nodiscard]] const std::optional<SnapshotId>& latest() const noexcept { return latest_; }
    // What was written before it counts on.
    void failed();

private:
    std::optional<SnapshotId> latest_;
    std::unique_ptr<vmm::PageLog> log_;
    vmm::PageSet written_;  // since the latest one, as far as it was asked for
    vmm::PageSet begun_;    // of those, what the one that is being made has
};

}  // namespace shoal::state
