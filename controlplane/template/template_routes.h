// /v1/templates/DIGEST/FILE, between hosts: a template's files.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "controlplane/api/api.h"
#include "controlplane/template/template_folder.h"

namespace shoal::templates {

struct TemplateFiles {
    boost::asio::io_context& context;
    boost::asio::thread_pool& workers;  // read
    const TemplateFolder& folder;
};

// Adds the route. Borrows the files.
void add_template_files(rest::Api& api, const TemplateFiles& files);

}  // namespace shoal::templates
