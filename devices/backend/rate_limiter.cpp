// Token buckets and the timer that reopens them.
#include "devices/backend/rate_limiter.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "devices/host/check.h"
#include "devices/host/clock.h"
#include "devices/host/os_error.h"

namespace shoal::backend {
namespace {

using host::monotonic_ns;

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::uint64_t ns_per_s = 1'000'000'000;
constexpr std::uint64_t blocked_ns = 100 * ns_per_ms;  // Firecracker's

// a * b / c in 128 bits, at most `most`.
std::uint64_t scaled(std::uint64_t a, std::uint64_t b, std::uint64_t c,
                     std::uint64_t most) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide result = Wide{a} * b / c;
    return result > most ? most : static_cast<std::uint64_t>(result);
}

std::optional<TokenBucket> make_bucket(const TokenBucketConfig& config) {
    if (config.size == 0 || config.refill_time_ms == 0) {
        return std::nullopt;
    }
    return TokenBucket{config, monotonic_ns()};
}

}  // namespace

TokenBucket::TokenBucket(const TokenBucketConfig& config, std::uint64_t now_ns) noexcept
    : config_{config},
      budget_{config.size},
      burst_left_{config.one_time_burst},
      refilled_ns_{now_ns} {}

void TokenBucket::refill(std::uint64_t now_ns) noexcept {
    const std::uint64_t full_ns = scaled(config_.refill_time_ms, ns_per_ms, 1, UINT64_MAX);
    const std::uint64_t passed = now_ns - std::min(refilled_ns_, now_ns);
    const std::uint64_t tokens = scaled(passed, config_.size, full_ns, config_.size);
    if (tokens >= config_.size - budget_) {
        budget_ = config_.size;
        refilled_ns_ = now_ns;
        return;
    }
    budget_ += tokens;
    // Only the time that whole tokens took: the rest counts next time.
    refilled_ns_ += scaled(tokens, full_ns, config_.size, passed);
}

TokenBucket::Taken TokenBucket::take(std::uint64_t tokens, std::uint64_t now_ns,
                                     std::uint64_t& overdraft_ns) noexcept {
    if (burst_left_ > 0) {
        const std::uint64_t from_burst = std::min(tokens, burst_left_);
        burst_left_ -= from_burst;
        tokens -= from_burst;
        refilled_ns_ = now_ns;
    }
    if (tokens > budget_) {
        refill(now_ns);
    }
    if (tokens <= budget_) {
        budget_ -= tokens;
        return Taken::all;
    }
    if (tokens > config_.size && budget_ == config_.size) {
        budget_ = 0;
        refilled_ns_ = now_ns;
        overdraft_ns = scaled(tokens - config_.size, config_.refill_time_ms * ns_per_ms,
                              config_.size, UINT64_MAX);
        return Taken::overdrawn;
    }
    return Taken::none;
}

void TokenBucket::give_back(std::uint64_t tokens) noexcept {
    budget_ += std::min(tokens, config_.size - budget_);
}

TokenBucketState TokenBucket::save(std::uint64_t now_ns) const noexcept {
    return {budget_, burst_left_, now_ns - std::min(refilled_ns_, now_ns)};
}

void TokenBucket::restore(const TokenBucketState& state, std::uint64_t now_ns) noexcept {
    budget_ = std::min(state.budget, config_.size);
    burst_left_ = std::min(state.burst_left, config_.one_time_burst);
    refilled_ns_ = now_ns - std::min(state.since_refill_ns, now_ns);
}

RateLimiter::RateLimiter(const RateLimiterConfig& config) {
    update(config);
}

void RateLimiter::update(const RateLimiterConfig& update) {
    if (update.bandwidth) {
        bandwidth_ = make_bucket(*update.bandwidth);
    }
    if (update.ops) {
        ops_ = make_bucket(*update.ops);
    }
    ensure_timer();
    if (blocked_) {
        block_for(1);  // the new limits may let pass what waits
    }
}

void RateLimiter::ensure_timer() {
    if (!timer_ && (bandwidth_ || ops_)) {
        timer_ = host::UniqueFd{host::check_os(
            ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create")};
    }
}

bool RateLimiter::consume(std::uint64_t bytes) noexcept {
    if (!bandwidth_ && !ops_) {
        return true;
    }
    return !blocked_ && consume_at(bytes, monotonic_ns());
}

bool RateLimiter::consume_at(std::uint64_t bytes, std::uint64_t now_ns) noexcept {
    std::uint64_t overdraft_ns = 0;
    if (ops_ && ops_->take(1, now_ns, overdraft_ns) == TokenBucket::Taken::none) {
        block_for(blocked_ns);
        return false;
    }
    if (!bandwidth_) {
        return true;
    }
    switch (bandwidth_->take(bytes, now_ns, overdraft_ns)) {
        case TokenBucket::Taken::all:
            return true;
        case TokenBucket::Taken::overdrawn:
            block_for(std::max(overdraft_ns, std::uint64_t{1}));
            return true;
        case TokenBucket::Taken::none:
            if (ops_) {
                ops_->give_back(1);
            }
            block_for(blocked_ns);
            return false;
    }
    return true;
}

void RateLimiter::give_back(std::uint64_t bytes) noexcept {
    if (ops_) {
        ops_->give_back(1);
    }
    if (bandwidth_) {
        bandwidth_->give_back(bytes);
    }
}

void RateLimiter::block_for(std::uint64_t ns) noexcept {
    itimerspec when{};
    when.it_value.tv_sec = static_cast<time_t>(std::min<std::uint64_t>(ns / ns_per_s, INT32_MAX));
    when.it_value.tv_nsec = static_cast<long>(ns % ns_per_s);
    SHOAL_CHECK(::timerfd_settime(timer_.get(), 0, &when, nullptr) == 0);
    blocked_ = true;
}

void RateLimiter::on_timer() noexcept {
    std::uint64_t count = 0;
    if (timer_ && ::read(timer_.get(), &count, sizeof count) == sizeof count) {
        blocked_ = false;
    }
}

RateLimiterConfig RateLimiter::config() const noexcept {
    RateLimiterConfig config;
    if (bandwidth_) {
        config.bandwidth = bandwidth_->config();
    }
    if (ops_) {
        config.ops = ops_->config();
    }
    return config;
}

RateLimiterState RateLimiter::save() const noexcept {
    RateLimiterState state;
    const std::uint64_t now_ns = monotonic_ns();
    if (bandwidth_) {
        state.bandwidth = bandwidth_->save(now_ns);
    }
    if (ops_) {
        state.ops = ops_->save(now_ns);
    }
    if (blocked_) {
        itimerspec left{};
        SHOAL_CHECK(::timerfd_gettime(timer_.get(), &left) == 0);
        const std::uint64_t left_ns = static_cast<std::uint64_t>(left.it_value.tv_sec) * ns_per_s +
                                      static_cast<std::uint64_t>(left.it_value.tv_nsec);
        state.blocked_ns = std::max<std::uint64_t>(left_ns, 1);  // it has fired: soon
    }
    return state;
}

void RateLimiter::restore(const RateLimiterState& state) noexcept {
    const std::uint64_t now_ns = monotonic_ns();
    if (bandwidth_ && state.bandwidth) {
        bandwidth_->restore(*state.bandwidth, now_ns);
    }
    if (ops_ && state.ops) {
        ops_->restore(*state.ops, now_ns);
    }
    if (timer_ && state.blocked_ns != 0) {
        block_for(state.blocked_ns);
    }
}

}  // namespace shoal::backend
