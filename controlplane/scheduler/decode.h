// The values of the store, as the leader reads them.
#pragma once

#include <optional>

#include "controlplane/model/json.h"
#include "controlplane/store/types.h"

namespace shoal::scheduler {

// Nothing, where it is damaged.
template <typename Body>
[[nodiscard]] std::optional<Body> decode(const store::Entry& entry) {
    try {
        return model::from_json<Body>(entry.value, model::UnknownFields::ignored);
    } catch (const model::JsonError&) {
        return std::nullopt;
    }
}

}  // namespace shoal::scheduler
