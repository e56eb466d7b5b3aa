#include "devices/backend/rate_limiter.h"

#include <doctest/doctest.h>
#include <poll.h>

namespace {

using namespace shoal::backend;
using Taken = TokenBucket::Taken;

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t start = 1'000 * ms;

// Whether the limiter's timer fires within two seconds.
bool waits_for_timer(RateLimiter& limiter) {
    pollfd query{limiter.fd(), POLLIN, 0};
    const bool fired = ::poll(&query, 1, 2'000) == 1;
    limiter.on_timer();
    return fired;
}

}  // namespace

TEST_CASE("a token bucket gives what it holds and refills in proportion to time") {
    std::uint64_t overdraft = 0;
    TokenBucket bucket{{.size = 1000, .one_time_burst = 0, .refill_time_ms = 100}, start};
    CHECK(bucket.take(600, start, overdraft) == Taken::all);
    CHECK(bucket.take(400, start, overdraft) == Taken::all);
    CHECK(bucket.take(1, start, overdraft) == Taken::none);
    CHECK(bucket.take(100, start + 10 * ms, overdraft) == Taken::all);
    CHECK(bucket.take(1, start + 10 * ms, overdraft) == Taken::none);
    CHECK(bucket.take(1000, start + 300 * ms, overdraft) == Taken::all);
    CHECK(bucket.take(1, start + 300 * ms, overdraft) == Taken::none);
}

TEST_CASE("a token bucket loses no fraction of a token to frequent asking") {
    std::uint64_t overdraft = 0;
    TokenBucket bucket{{.size = 10, .one_time_burst = 0, .refill_time_ms = 1000}, start};
    CHECK(bucket.take(10, start, overdraft) == Taken::all);
    unsigned taken = 0;
    for (std::uint64_t at = start; at <= start + 1000 * ms; at += 7 * ms) {
        taken += bucket.take(1, at, overdraft) == Taken::all ? 1U : 0U;
    }
    CHECK(taken >= 9);
    CHECK(taken <= 10);
}

TEST_CASE("a token bucket's burst goes first, once, and nothing refills meanwhile") {
    std::uint64_t overdraft = 0;
    TokenBucket bucket{{.size = 100, .one_time_burst = 50, .refill_time_ms = 100}, start};
    CHECK(bucket.take(50, start, overdraft) == Taken::all);   // the burst
    CHECK(bucket.take(100, start, overdraft) == Taken::all);  // the bucket
    CHECK(bucket.take(1, start, overdraft) == Taken::none);
    CHECK(bucket.take(100, start + 500 * ms, overdraft) == Taken::all);
    CHECK(bucket.take(1, start + 500 * ms, overdraft) == Taken::none);
}

TEST_CASE("a request larger than the bucket passes when it is full, and has to be waited for") {
    std::uint64_t overdraft = 0;
    TokenBucket bucket{{.size = 100, .one_time_burst = 0, .refill_time_ms = 100}, start};
    CHECK(bucket.take(350, start, overdraft) == Taken::overdrawn);
    CHECK(overdraft == 250 * ms);
    CHECK(bucket.take(350, start + 50 * ms, overdraft) == Taken::none);
    CHECK(bucket.take(350, start + 100 * ms, overdraft) == Taken::overdrawn);
}

TEST_CASE("a token bucket survives extreme numbers and a clock that goes back") {
    std::uint64_t overdraft = 0;
    TokenBucket bucket{
        {.size = UINT64_MAX, .one_time_burst = UINT64_MAX, .refill_time_ms = UINT64_MAX}, start};
    CHECK(bucket.take(UINT64_MAX, 0, overdraft) == Taken::all);
    CHECK(bucket.take(UINT64_MAX, 0, overdraft) == Taken::all);
    CHECK(bucket.take(UINT64_MAX, UINT64_MAX / 2, overdraft) == Taken::none);
    bucket.give_back(UINT64_MAX);
    CHECK(bucket.take(UINT64_MAX, 0, overdraft) == Taken::all);
}

TEST_CASE("a rate limiter without limits never blocks and has no timer") {
    RateLimiter none;
    CHECK(none.consume(UINT64_MAX));
    CHECK(none.fd() == -1);
    RateLimiter zero{{.bandwidth = TokenBucketConfig{}, .ops = TokenBucketConfig{.size = 5}}};
    CHECK(zero.consume(UINT64_MAX));
    CHECK(zero.config() == RateLimiterConfig{});
}

TEST_CASE("a rate limiter blocks both buckets, and its timer unblocks them") {
    RateLimiter limiter{{.bandwidth = TokenBucketConfig{.size = 1000, .refill_time_ms = 10},
                         .ops = TokenBucketConfig{.size = 3, .refill_time_ms = 1'000'000}}};
    CHECK(limiter.consume(1000));
    CHECK_FALSE(limiter.consume(500));
    CHECK(limiter.is_blocked());
    CHECK_FALSE(limiter.consume(0));
    CHECK(waits_for_timer(limiter));
    CHECK_FALSE(limiter.is_blocked());
    // What was refused for its bytes has not cost an operation.
    CHECK(limiter.consume(10));
    CHECK(limiter.consume(10));
    CHECK_FALSE(limiter.consume(10));
}

TEST_CASE("a rate limiter's update changes one bucket, or removes it, and wakes who waits") {
    RateLimiter limiter{{.bandwidth = TokenBucketConfig{.size = 10, .refill_time_ms = 1'000'000},
                         .ops = TokenBucketConfig{.size = 2, .refill_time_ms = 1'000'000}}};
    CHECK(limiter.consume(10));
    CHECK_FALSE(limiter.consume(1));
    limiter.update({.bandwidth = TokenBucketConfig{}, .ops = {}});
    CHECK(waits_for_timer(limiter));
    CHECK(limiter.consume(1'000'000));
    CHECK_FALSE(limiter.consume(1));  // the operations are used up
    CHECK(limiter.config().ops == TokenBucketConfig{.size = 2, .refill_time_ms = 1'000'000});
    CHECK_FALSE(limiter.config().bandwidth.has_value());
}

TEST_CASE("what is left of a limiter comes back, and no more than it holds") {
    const RateLimiterConfig config{.bandwidth = TokenBucketConfig{1000, 500, 3'600'000},
                                   .ops = TokenBucketConfig{3, 0, 3'600'000}};
    RateLimiter one{config};
    CHECK(one.consume(700));
    const RateLimiterState left = one.save();
    CHECK(left.bandwidth->burst_left == 0);
    CHECK(left.bandwidth->budget == 800);
    CHECK(left.ops->budget == 2);
    CHECK(left.blocked_ns == 0);
    RateLimiter other{config};
    SUBCASE("as it was") {
        other.restore(left);
        CHECK(other.consume(400));
        CHECK(other.consume(400));
        CHECK_FALSE(other.consume(1));
        CHECK(other.is_blocked());
    }
    SUBCASE("with the time that it has to wait") {
        CHECK(one.consume(0));
        CHECK(one.consume(0));
        CHECK_FALSE(one.consume(0));
        const RateLimiterState blocked = one.save();
        CHECK(blocked.blocked_ns > 0);
        other.restore(blocked);
        CHECK(other.is_blocked());
        CHECK(waits_for_timer(other));
        CHECK_FALSE(other.is_blocked());
    }
    SUBCASE("of one that nobody can have") {
        other.restore({.bandwidth = TokenBucketState{UINT64_MAX, UINT64_MAX, UINT64_MAX},
                       .ops = TokenBucketState{UINT64_MAX, 1, 0},
                       .blocked_ns = 0});
        const RateLimiterState now = other.save();
        CHECK(now.bandwidth->budget == 1000);
        CHECK(now.bandwidth->burst_left == 500);
        CHECK(now.ops->budget == 3);
        CHECK(now.ops->burst_left == 0);
    }
    SUBCASE("for one without limits") {
        RateLimiter unlimited;
        unlimited.restore(
            {.bandwidth = TokenBucketState{}, .ops = TokenBucketState{}, .blocked_ns = 5});
        CHECK(unlimited.consume(1 << 30));
    }
}
