// RateLimiter: how many bytes and operations a device may move, as two token buckets.
//
// The algorithm is Firecracker's: a bucket's one-time burst is used up first, and nothing is
// refilled meanwhile; then tokens come back in proportion to time. Once a bucket is empty the
// limiter is blocked for a while, both buckets alike, so that not every operation asks the clock
// again. An operation larger than a bucket passes when the bucket is full, and blocks for as long
// as its excess takes to refill.
// No locks: the device holds its mutex.
#pragma once

#include <cstdint>
#include <optional>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

// A size or refill time of 0 means: no limit.
struct TokenBucketConfig {
    std::uint64_t size = 0;  // tokens
    std::uint64_t one_time_burst = 0;
    std::uint64_t refill_time_ms = 0;  // from empty to full

    friend bool operator==(const TokenBucketConfig&, const TokenBucketConfig&) = default;
};

// What is left of a bucket. One that was saved may be anybody's: no bucket gets more than it holds.
struct TokenBucketState {
    std::uint64_t budget = 0;
    std::uint64_t burst_left = 0;
    std::uint64_t since_refill_ns = 0;  // time that has yet to become tokens

    friend bool operator==(const TokenBucketState&, const TokenBucketState&) = default;
};

class TokenBucket {
public:
    enum class Taken {
        all,
        none,      // not enough there
        overdrawn  // more than the bucket holds: taken, but the rest has to be waited for
    };

    TokenBucket(const TokenBucketConfig& config, std::uint64_t now_ns) noexcept;

    // `overdraft_ns` says how long to wait after Taken::overdrawn.
    [[nodiscard]] Taken take(std::uint64_t tokens, std::uint64_t now_ns,
                             std::uint64_t& overdraft_ns) noexcept;
    void give_back(std::uint64_t tokens) noexcept;
    [[nodiscard]] const TokenBucketConfig& config() const noexcept { return config_; }

    [[nodiscard]] TokenBucketState save(std::uint64_t now_ns) const noexcept;
    void restore(const TokenBucketState& state, std::uint64_t now_ns) noexcept;

private:
    void refill(std::uint64_t now_ns) noexcept;

    TokenBucketConfig config_;
    std::uint64_t budget_;
    std::uint64_t burst_left_;
    std::uint64_t refilled_ns_;
};

struct RateLimiterConfig {
    std::optional<TokenBucketConfig> bandwidth;  // tokens are bytes
    std::optional<TokenBucketConfig> ops;

    friend bool operator==(const RateLimiterConfig&, const RateLimiterConfig&) = default;
};

struct RateLimiterState {
    std::optional<TokenBucketState> bandwidth;
    std::optional<TokenBucketState> ops;
    std::uint64_t blocked_ns = 0;  // 0: it is not

    friend bool operator==(const RateLimiterState&, const RateLimiterState&) = default;
};

class RateLimiter {
public:
    // Unlimited.
    RateLimiter() noexcept = default;
    // Throws std::system_error when the host has no timerfd.
    explicit RateLimiter(const RateLimiterConfig& config);

    // True: the operation may go. False: it may not, and fd() becomes readable when it is time to
    // try again.
    [[nodiscard]] bool consume(std::uint64_t bytes) noexcept;
    // The operation did not happen after all.
    void give_back(std::uint64_t bytes) noexcept;

    // A bucket that the update leaves out stays as it is. Throws as the constructor does.
    void update(const RateLimiterConfig& update);

    // A timer; -1 while there is no limit (and it stays the same descriptor once there was one).
    [[nodiscard]] int fd() const noexcept { return timer_.get(); }
    // To be called when fd() is readable; then try again.
    void on_timer() noexcept;
    [[nodiscard]] bool is_blocked() const noexcept { return blocked_; }

    [[nodiscard]] RateLimiterConfig config() const noexcept;

    // restore() comes after the limits; of a bucket that is not limited here it does nothing.
    [[nodiscard]] RateLimiterState save() const noexcept;
    void restore(const RateLimiterState& state) noexcept;

private:
    [[nodiscard]] bool consume_at(std::uint64_t bytes, std::uint64_t now_ns) noexcept;
    void block_for(std::uint64_t ns) noexcept;
    void ensure_timer();

    std::optional<TokenBucket> bandwidth_;
    std::optional<TokenBucket> ops_;
    host::UniqueFd timer_;
    bool blocked_ = false;
};

}  // namespace shoal::backend
