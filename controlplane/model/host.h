// A host as the cluster knows it. Written by its own shoald (capacity, what it is) and by whoever
// cordons or drains it; its heartbeats are a small key of their own (heartbeat.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/model/resources.h"

namespace shoal::model {

using Labels = std::map<std::string, std::string>;

// Grows each time somebody takes the host over: whoever holds the newest one owns its microVMs.
using Epoch = std::uint64_t;

enum class Scheduling { enabled, cordoned, draining };

struct Host {
    std::string name;
    std::string zone;
    Labels labels;
    std::string cpu_model;     // what a snapshot must have been taken on to be restored here
    std::string peer_address;  // HOST:PORT of its shoald, for the others; empty: a single host
    Resources allocatable;     // capacity times the overcommit ratio, less what is reserved
    Scheduling scheduling = Scheduling::enabled;
    std::string certificate_expires{};  // by which others know it, RFC 3339; empty: it has none
    std::string authority_expires{};  // the same of the authority's, which nobody renews by himself
    bool renews_certificates = false;  // it has the authority's key
    // Why it takes no more microVMs for now, in a sentence; empty: it is not under pressure.
    std::string memory_pressure{};
    std::vector<std::string> storages{};  // that it reaches, as other hosts may: by name
};

struct SchedulingChange {
    Scheduling scheduling = Scheduling::enabled;
};

// Too many hosts are silent for the leader to take any over (failover/takeover_gate.h).
struct Failover {
    std::string stopped;  // why, in a sentence
};

// Who schedules (failover/leadership.h).
struct Leader {
    std::string host;
};

// Compare-and-swapped every half second while the epoch is the host's own.
struct Heartbeat {
    Epoch epoch = 0;
    std::uint64_t sequence = 0;
    // By the sender's clock. When it was sent: of two tries with the same number it tells which one
    // came through, and how long after the one before it the host still lived.
    std::uint64_t sent_ns = 0;
    // Until when its microVMs may run once this is committed, or once any before it was.
    std::uint64_t runs_until_ns = 0;
};

}  // namespace shoal::model
