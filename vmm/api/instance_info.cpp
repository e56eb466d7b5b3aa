// Who and what this is.
#include "vmm/api/instance_info.h"

namespace shoal::api {

ParsedRequest parse_get_instance_info(const Call&) {
    return {[](Context& context) {
        return ok(InstanceInfo{context.instance_id, context.microvm.state()});
    }};
}

ParsedRequest parse_get_version(const Call&) {
    return {[](Context&) { return ok(Version{}); }};
}

}  // namespace shoal::api
