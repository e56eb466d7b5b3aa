// /entropy
#pragma once

#include "vmm/api/action.h"
#include "vmm/api/rate_limiter.h"

namespace shoal::api {

template <>
struct Description<vmm::EntropyConfig> {
    using Body = vmm::EntropyConfig;
    static constexpr std::string_view name = "EntropyDevice";
    static constexpr std::tuple fields{
        optional("rate_limiter", &Body::rate_limiter),
    };
};

[[nodiscard]] ParsedRequest parse_put_entropy(const Call& call);

void set_entropy(Context& context, const vmm::EntropyConfig& entropy);

}  // namespace shoal::api
