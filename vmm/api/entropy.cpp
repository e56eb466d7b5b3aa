// The entropy device.
#include "vmm/api/entropy.h"

namespace shoal::api {

void set_entropy(Context& context, const vmm::EntropyConfig& entropy) {
    context.config.entropy = {effective(entropy.rate_limiter)};
}

ParsedRequest parse_put_entropy(const Call& call) {
    const auto entropy = parse_body<vmm::EntropyConfig>(call);
    return {[entropy](Context& context) {
        set_entropy(context, entropy);
        return no_content();
    }};
}

}  // namespace shoal::api
