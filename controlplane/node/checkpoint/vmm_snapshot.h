// Has a VMM write a snapshot behind its guest, which runs on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/node/process/vmm_client.h"
#include "controlplane/store/event_loop.h"

namespace shoal::node {

enum class SnapshotKind {
    whole,
    difference,  // to the one before of the same VMM
};

struct SnapshotOrder {
    std::string socket;  // of the VMM's API
    std::string state;   // the files to be written
    std::string memory;
    SnapshotKind kind = SnapshotKind::whole;
    std::vector<std::string> drives{};  // files of its drives, in their order
};

struct SnapshotTaken {
    std::string failure;         // one sentence; empty: the files are there, durably
    std::uint64_t pause_us = 0;  // how long the guest stood still
};
using OnSnapshot = std::function<void(const SnapshotTaken&)>;

// Borrows loop and client for as long as `asker` lives. Calls `done` later, on the loop's thread,
// once, or never when the asker is gone by then.
void take_snapshot(store::EventLoop& loop, VmmClient& client, SnapshotOrder order,
                   std::weak_ptr<void> asker, OnSnapshot done);

}  // namespace shoal::node
