// What an event of the store says, as one of the model's structures.
#pragma once

#include <optional>
#include <string>

#include "controlplane/model/json.h"
#include "controlplane/store/types.h"
#include "devices/host/log.h"

namespace shoal::node {

// A newer shoald may have written it. Nothing: it is deleted, or cannot be read.
template <typename Body>
std::optional<Body> decode(const store::Event& event) {
    if (event.kind == store::Event::Kind::deleted) {
        return std::nullopt;
    }
    try {
        return model::from_json<Body>(event.entry.value, model::UnknownFields::ignored);
    } catch (const model::JsonError& error) {
        host::log(host::LogLevel::error, event.entry.key + " is ignored: " + error.what());
        return std::nullopt;
    }
}

}  // namespace shoal::node
