// RateLimiter and TokenBucket: parts of the bodies of drives, interfaces, entropy and serial port.
#pragma once

#include <optional>

#include "vmm/api/fields.h"
#include "vmm/machine/config.h"

namespace shoal::api {

template <>
struct Description<backend::TokenBucketConfig> {
    using Body = backend::TokenBucketConfig;
    static constexpr std::string_view name = "TokenBucket";
    static constexpr UnknownFields unknown_fields = UnknownFields::ignored;
    static constexpr std::tuple fields{
        required("size", &Body::size),
        nullable("one_time_burst", &Body::one_time_burst),
        required("refill_time", &Body::refill_time_ms),
    };
};

template <>
struct Description<backend::RateLimiterConfig> {
    using Body = backend::RateLimiterConfig;
    static constexpr std::string_view name = "RateLimiter";
    static constexpr std::tuple fields{
        optional("bandwidth", &Body::bandwidth),
        optional("ops", &Body::ops),
    };
};

// Without the buckets that limit nothing (a size or refill time of 0); absent when none is left.
[[nodiscard]] std::optional<backend::RateLimiterConfig> effective(
    const std::optional<backend::RateLimiterConfig>& config);

// `current` after `update`: a bucket that the update leaves out stays.
[[nodiscard]] std::optional<backend::RateLimiterConfig> merged(
    const std::optional<backend::RateLimiterConfig>& current,
    const std::optional<backend::RateLimiterConfig>& update);

}  // namespace shoal::api
