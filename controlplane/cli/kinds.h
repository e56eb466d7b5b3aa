// The kinds of objects that shoald has.
#pragma once

#include <string>
#include <vector>

#include "controlplane/cli/document.h"

namespace shoal::cli {

enum class Kind { microvm, group, host, template_, image, volume, network, project };

// How a kind of object is called, where it is, and what a table of them shows.
struct Resource {
    Kind kind;
    std::string name;
    std::string path;
    std::vector<Column> columns;
};

[[nodiscard]] const Resource& resource_of(Kind kind);

}  // namespace shoal::cli
