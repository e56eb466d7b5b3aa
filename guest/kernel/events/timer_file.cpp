// TimerFile: expirations are computed when somebody asks; the timer only wakes.
#include "guest/kernel/events/timer_file.h"

#include "guest/kernel/clock.h"

namespace shoal::guest {
namespace {

// Later than any microVM lives, and no sum of two of them wraps.
constexpr std::uint64_t time_max_ns = 1ULL << 62;

}  // namespace

void TimerFile::set(const Setting& setting) {
    interval_ns_ = std::min(setting.interval_ns, time_max_ns);
    if (setting.first_ns == 0) {
        next_ns_ = 0;
        disarm();
        return;
    }
    next_ns_ = monotonic_ns() + std::min(setting.first_ns, time_max_ns);
    arm(next_ns_);
}

TimerFile::Setting TimerFile::get() const {
    const std::uint64_t now = monotonic_ns();
    const std::uint64_t next = next_ns_ + expirations(now) * interval_ns_;
    return {next > now ? next - now : 0, interval_ns_};
}

std::uint64_t TimerFile::expirations(std::uint64_t now_ns) const {
    if (next_ns_ == 0 || now_ns < next_ns_) {
        return 0;
    }
    return interval_ns_ == 0 ? 1 : 1 + (now_ns - next_ns_) / interval_ns_;
}

void TimerFile::on_expiry(std::uint64_t now_ns) {
    if (interval_ns_ != 0) {
        arm(next_ns_ + expirations(now_ns) * interval_ns_);
    }
    waiters().wake_all();
}

Result<std::size_t> TimerFile::read(OpenFile&, std::uint64_t, Destination& to, std::size_t count) {
    const std::uint64_t expired = expirations(monotonic_ns());
    if (count < sizeof expired) {
        return fail(Errno::inval);
    }
    if (expired == 0) {
        return fail(Errno::again);
    }
    next_ns_ = interval_ns_ == 0 ? 0 : next_ns_ + expired * interval_ns_;
    return to.put(std::as_bytes(std::span{&expired, 1})) ? Result<std::size_t>{sizeof expired}
                                                         : fail(Errno::fault);
}

Readiness TimerFile::readiness(const OpenFile&) const {
    Readiness ready;
    ready.readable = expirations(monotonic_ns()) != 0 ? Readiness::Is::yes : Readiness::Is::no;
    ready.writable = Readiness::Is::no;
    return ready;
}

}  // namespace shoal::guest
