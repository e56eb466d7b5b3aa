// TimerFile: timerfd_create(2), a timer whose expirations are read.
#pragma once

#include "guest/kernel/events/anonymous_file.h"
#include "guest/kernel/events/timer.h"

namespace shoal::guest {

// What counts is the clock: a reader sees an expiration even before the event source has run.
class TimerFile final : public AnonymousFile, private Timer {
public:
    static constexpr Kind file_kind = Kind::timer;
    enum class Clock { monotonic, realtime };

    struct Setting {
        std::uint64_t first_ns = 0;     // until the first expiration; 0: disarmed
        std::uint64_t interval_ns = 0;  // 0: it expires once
    };

    explicit TimerFile(Clock clock) noexcept : AnonymousFile{file_kind}, clock_{clock} {}

    [[nodiscard]] Clock clock() const noexcept { return clock_; }

    // Forgets earlier expirations. `setting.first_ns` counts from now.
    void set(const Setting& setting);
    [[nodiscard]] Setting get() const;

    // A std::uint64_t: the expirations since it was set or read last.
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;

private:
    [[nodiscard]] std::uint64_t expirations(std::uint64_t now_ns) const;
    void on_expiry(std::uint64_t now_ns) override;

    Clock clock_;
    std::uint64_t next_ns_ = 0;  // the first expiration that was not read; 0: there will be none
    std::uint64_t interval_ns_ = 0;
};

}  // namespace shoal::guest
