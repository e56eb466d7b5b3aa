// From the log to differences.
#include "vmm/state/snapshot_chain.h"

#include <utility>

namespace shoal::state {

void SnapshotChain::loaded(const SnapshotId& id, std::unique_ptr<vmm::PageLog> log) {
    latest_ = id;
    log_ = std::move(log);
}

void SnapshotChain::keep(std::unique_ptr<vmm::PageLog> log) {
    log_ = std::move(log);
}

void SnapshotChain::begin(const machine::GuestMemory& memory) {
    if (log_) {
        begun_ = std::exchange(written_, {});
        begun_.resize(vmm::empty_set(memory.size_bytes()).size());
        log_->take(begun_);
    }
}

std::optional<Difference> SnapshotChain::difference(const machine::GuestMemory& memory) const {
    if (!latest_) {
        return std::nullopt;
    }
    return Difference{*latest_, log_ ? begun_ : vmm::touched_pages(memory)};
}

void SnapshotChain::made(const SnapshotId& id) {
    latest_ = id;
    begun_.clear();
}

void SnapshotChain::failed() {
    written_ = std::exchange(begun_, {});
}

}  // namespace shoal::state
