// SignalQueue: signals that were sent and not yet delivered.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace shoal::guest {

inline constexpr unsigned signal_count = 64;
inline constexpr unsigned first_realtime_signal = 32;

constexpr std::uint64_t signal_bit(unsigned number) {
    return 1ULL << (number - 1);
}

// What siginfo_t says. The last two are its words at 16 and 24: an address, or a process and its
// user; a value, or a status.
struct SignalInfo {
    unsigned number = 0;
    int code = 0;
    std::uint64_t address = 0;
    std::uint64_t value = 0;
};

class SignalQueue {
public:
    // Linux allows as many as there may be processes (RLIMIT_SIGPENDING); these are ours.
    static constexpr std::size_t limit = 1024;

    // False when a real-time signal finds the queue full. Others are there once or not at all.
    bool add(const SignalInfo& info) {
        const bool is_realtime = info.number >= first_realtime_signal;
        if (!is_realtime && (mask_ & signal_bit(info.number)) != 0) {
            return true;
        }
        if (is_realtime && infos_.size() >= limit) {
            return false;
        }
        infos_.push_back(info);
        mask_ |= signal_bit(info.number);
        return true;
    }

    // Which are there, as bits.
    [[nodiscard]] std::uint64_t mask() const { return mask_; }

    // The one with the lowest number of those in `wanted`, in the order of their coming.
    std::optional<SignalInfo> take(std::uint64_t wanted) {
        if ((mask_ & wanted) == 0) {
            return std::nullopt;
        }
        const auto number = static_cast<unsigned>(__builtin_ctzll(mask_ & wanted)) + 1;
        std::optional<SignalInfo> found;
        mask_ &= ~signal_bit(number);
        for (std::size_t i = 0; i < infos_.size(); ++i) {
            if (infos_[i].number != number) {
                continue;
            }
            if (found) {
                mask_ |= signal_bit(number);
                break;
            }
            found = infos_[i];
            infos_.erase(infos_.begin() + static_cast<std::ptrdiff_t>(i--));
        }
        return found;
    }

    void clear() {
        infos_.clear();
        mask_ = 0;
    }

private:
    std::vector<SignalInfo> infos_{};
    std::uint64_t mask_ = 0;
};

}  // namespace shoal::guest
