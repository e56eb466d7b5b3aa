// /v1/templates/DIGEST/FILE and the like, between hosts: a bundle's files.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "controlplane/api/api.h"
#include "controlplane/content/bundle_folder.h"

namespace shoal::peer {

struct BundleFiles {
    boost::asio::io_context& context;
    boost::asio::thread_pool& workers;  // read
    const content::BundleFolder& folder;
};

// Adds the route. Borrows the files.
void add_bundle_files(rest::Api& api, const BundleFiles& files);

}  // namespace shoal::peer
