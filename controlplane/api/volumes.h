// /v1/volumes: create, get, list, delete.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <set>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/volume/volume_folder.h"

namespace shoal::rest {

// Files are made and deleted by the workers: a full disk's flush, and the deletion of a large file,
// take seconds, for which heartbeats do not wait.
struct VolumeService {
    Service& service;
    boost::asio::io_context& context;
    boost::asio::thread_pool& workers;
    const volumes::VolumeFolder& folder;
    std::string host;
    std::set<std::string> changing{};  // names that are being created or deleted
};

// Adds the routes. Borrows the service.
void add_volumes(Api& api, VolumeService& service);

// Once the mirror is ready: what was begun before is finished. Throws std::system_error.
void reconcile_volumes(const VolumeService& service);

}  // namespace shoal::rest
