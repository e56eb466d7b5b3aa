// /v1/microvms: create one, or several in one request, all or none.
#pragma once

#include <cstddef>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/model/microvm.h"

namespace shoal::rest {

// So many are put in one transaction, beside placements of as many as there are operations left
// for (127) and the objects that all refer to as conditions (128).
inline constexpr std::size_t max_created_at_once = 100;

// With the parameter `count`, the answer is a list of NAME-0, NAME-1, ...
void create_microvms(Service& service, const Request& request, Respond respond);

// One whose name is free, and which is resolved. Throws Problem.
void create_microvm(Service& service, const Request& request, model::MicroVmSpec spec,
                    Respond respond);

}  // namespace shoal::rest
