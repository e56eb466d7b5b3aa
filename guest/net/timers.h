// Timers: calls lwIP's timers when they have something to do, and lets the CPU sleep when not.
//
// lwIP counts calls: its timers must be called once for each of their periods, but nothing is lost
// if they are called late while nothing is under way. So nothing ticks then: what only ages does so
// at the next event, and connections that watch over their peers (SO_KEEPALIVE) wake when that is
// due.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace shoal::guest::net {

class Timers {
public:
    Timers();

    // Calls those whose time has come.
    void run_due();
    // When that is, at the latest.
    [[nodiscard]] std::uint64_t deadline_ns() const;
    // Something has come from the network: what it started may need timers for a while.
    void note_traffic();

    static constexpr std::size_t count = 3;

private:
    std::array<std::uint64_t, count> due_ns_{};
    std::uint64_t quiet_after_ns_ = 0;
};

}  // namespace shoal::guest::net
