// What a client is told when the store refuses or fails.
#pragma once

#include "controlplane/http/problem.h"
#include "controlplane/store/result.h"

namespace shoal::rest {

[[nodiscard]] Problem to_problem(const store::Error& error);

}  // namespace shoal::rest
