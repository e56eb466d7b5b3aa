// /v1/volumes: create, get, list, delete.
#pragma once

#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/node/volume_changes.h"
#include "controlplane/volume/volume_folders.h"

namespace shoal::rest {

struct VolumeService {
    Service& service;
    node::VolumeChanges& changes;
    const volumes::VolumeFolders& folders;
    std::string host;  // this one
};

// Adds the routes. Borrows the service.
void add_volumes(Api& api, VolumeService& service);

// Once the mirror is ready: what was begun before is finished. Throws std::system_error.
void reconcile_volumes(const VolumeService& service);

}  // namespace shoal::rest
