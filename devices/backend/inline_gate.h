// InlineGate: whether a call that might block is made on the event loop all the same.
//
// It is, until one takes long: a full page cache makes writers wait, a disk makes readers wait.
// Then the gate stays shut for a while, and for twice as long when that does not help.
#pragma once

#include <algorithm>
#include <cstdint>

namespace shoal::backend {

class InlineGate {
public:
    // Half of what an API call may take while the guest is busy.
    static constexpr std::uint64_t slow_ns = 5'000'000;
    static constexpr std::uint64_t min_shut_ns = 50'000'000;
    static constexpr std::uint64_t max_shut_ns = 10'000'000'000;
    // Open for so long without a slow call: all is well again.
    static constexpr std::uint64_t recovered_ns = 5'000'000'000;

    [[nodiscard]] bool is_open(std::uint64_t now_ns) const noexcept { return now_ns >= opens_ns_; }

    // A call that was let through took from `begin_ns` to `end_ns`.
    void report(std::uint64_t begin_ns, std::uint64_t end_ns) noexcept {
        if (end_ns - begin_ns < slow_ns) {
            return;
        }
        const bool recovered = shut_ns_ == 0 || begin_ns - opens_ns_ >= recovered_ns;
        shut_ns_ = recovered ? min_shut_ns : std::min(2 * shut_ns_, max_shut_ns);
        opens_ns_ = end_ns + shut_ns_;
    }

private:
    std::uint64_t opens_ns_ = 0;
    std::uint64_t shut_ns_ = 0;  // how long it last stayed shut
};

}  // namespace shoal::backend
