// A key's folder says which.
#include "controlplane/node/objects.h"

#include "controlplane/model/keys.h"
#include "controlplane/node/decode.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

template <typename Body>
bool apply_to(ObjectsByName<Body>& objects, std::string_view folder, const store::Event& event) {
    const std::string_view key = event.entry.key;
    if (!key.starts_with(folder)) {
        return false;
    }
    const std::string name{key.substr(folder.size())};
    if (auto body = decode<Body>(event)) {
        objects[name] = {std::move(*body), event.entry.mod_revision};
    } else {
        objects.erase(name);
    }
    return true;
}

}  // namespace

bool Objects::apply(const store::Event& event) {
    return apply_to(templates, keys::templates, event) || apply_to(volumes, keys::volumes, event);
}

}  // namespace shoal::node
