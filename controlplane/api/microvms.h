// /v1/microvms: create, apply, get, list.
#pragma once

#include <functional>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/http/problem.h"

namespace shoal::rest {

// Adds the routes. Borrows the service.
void add_microvms(Api& api, Service& service);

// As the API shows it.
[[nodiscard]] std::string to_json(const node::MicroVm& microvm);

// That, as it is now: others may have changed or deleted it since.
[[nodiscard]] Response show_microvm(const Service& service, unsigned status,
                                    const std::string& name);

// `from`, with what may change while it runs as it is in `to`.
[[nodiscard]] model::MicroVmSpec with_changes(const model::MicroVmSpec& from,
                                              const model::MicroVmSpec& to);

// As microvm.h says, random; "vm-" and 10 characters.
[[nodiscard]] std::string make_name();

// Throws Problem 404. The name may be anything.
[[nodiscard]] const node::MicroVm& find_microvm(const Service& service, const std::string& name);

// Problem 409, for what only a microVM that runs can do.
[[nodiscard]] Problem does_not_run(const node::MicroVm& microvm);

}  // namespace shoal::rest
