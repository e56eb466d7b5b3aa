// The whole configuration as one JSON document: GET /vm/config tells it, --config-file takes it.
#pragma once

#include <string>
#include <string_view>

#include "vmm/api/action.h"

namespace shoal::api {

[[nodiscard]] ParsedRequest parse_get_vm_config(const Call& call);

// Sets every resource of a configuration file as the requests would. Throws JsonError or Fault.
void apply_config_file(Context& context, std::string_view text);

}  // namespace shoal::api
