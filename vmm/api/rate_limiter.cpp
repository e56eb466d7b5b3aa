// Which buckets limit anything.
#include "vmm/api/rate_limiter.h"

namespace shoal::api {
namespace {

bool limits(const std::optional<backend::TokenBucketConfig>& bucket) {
    return bucket && bucket->size != 0 && bucket->refill_time_ms != 0;
}

}  // namespace

std::optional<backend::RateLimiterConfig> effective(
    const std::optional<backend::RateLimiterConfig>& config) {
    backend::RateLimiterConfig result;
    if (config && limits(config->bandwidth)) {
        result.bandwidth = config->bandwidth;
    }
    if (config && limits(config->ops)) {
        result.ops = config->ops;
    }
    return result.bandwidth || result.ops ? std::optional{result} : std::nullopt;
}

std::optional<backend::RateLimiterConfig> merged(
    const std::optional<backend::RateLimiterConfig>& current,
    const std::optional<backend::RateLimiterConfig>& update) {
    backend::RateLimiterConfig result = current.value_or(backend::RateLimiterConfig{});
    if (update && update->bandwidth) {
        result.bandwidth = update->bandwidth;
    }
    if (update && update->ops) {
        result.ops = update->ops;
    }
    return effective(result);
}

}  // namespace shoal::api
