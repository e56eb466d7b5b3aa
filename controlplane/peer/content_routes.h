// /v1/content/SHA256, between hosts: GET and PUT of files by their content.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "controlplane/api/api.h"
#include "controlplane/content/content_folder.h"

namespace shoal::peer {

struct ContentService {
    boost::asio::io_context& context;
    boost::asio::thread_pool& workers;  // read, write and hash
    const content::ContentFolder& folder;
};

// Adds the routes. Borrows the service.
void add_content(rest::Api& api, const ContentService& service);

}  // namespace shoal::peer
