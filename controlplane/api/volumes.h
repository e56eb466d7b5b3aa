// /v1/volumes: create, get, list, delete.
#pragma once

#include <set>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/volume/volume_folder.h"

namespace shoal::rest {

struct VolumeService {
    Service& service;
    const volumes::VolumeFolder& folder;
    std::string host;
    std::set<std::string> changing{};  // names that are being created or deleted
};

// Adds the routes. Borrows the service.
void add_volumes(Api& api, VolumeService& service);

// Once the mirror is ready: what was begun before is finished. Throws std::system_error.
void reconcile_volumes(const VolumeService& service);

}  // namespace shoal::rest
