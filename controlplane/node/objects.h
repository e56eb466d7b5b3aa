// What microVMs refer to by name, as the store has it. A part of Mirror.
#pragma once

#include <map>
#include <string>

#include "controlplane/model/template.h"
#include "controlplane/model/volume.h"
#include "controlplane/store/types.h"

namespace shoal::node {

template <typename Body>
struct Object {
    Body body;
    store::Revision revision = 0;
};
template <typename Body>
using ObjectsByName = std::map<std::string, Object<Body>>;

struct Objects {
    ObjectsByName<model::Template> templates;
    ObjectsByName<model::Volume> volumes;

    // False: it is of none of these.
    bool apply(const store::Event& event);
};

}  // namespace shoal::node
