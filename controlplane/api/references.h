// What a microVM refers to by name, looked at when it is asked for.
#pragma once

#include <functional>
#include <string>

#include "controlplane/api/service.h"
#include "controlplane/model/group.h"

namespace shoal::rest {

// Throws Problem for what is not there or does not fit together. A clone's memory and CPUs become
// those of its template.
void resolve(const Service& service, model::MicroVmSpec& spec);
// The same for the microVMs of a group, each of which has volumes of its own.
void resolve_members(const Service& service, model::Group& group);

// The microVM that has the volume, and has not ended; empty: none. Never `except`.
[[nodiscard]] std::string user_of_volume(const Service& service, const std::string& volume,
                                         const std::string& except = {});

// "microVM NAME" that has not ended, or "group NAME", whose description says so; empty: none.
[[nodiscard]] std::string user_of(
    const Service& service, const std::function<bool(const model::MicroVmSpec& spec)>& refers);

// That what it refers to is there still when it is committed.
void add_conditions(const Service& service, const model::MicroVmSpec& spec,
                    store::Transaction& transaction);

}  // namespace shoal::rest
