// TemplateMaker: makes templates, from a program or from a folder of the host.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>

#include "controlplane/content/made.h"
#include "controlplane/model/template.h"
#include "controlplane/template/template_folder.h"

namespace shoal::templates {

class TemplateMaker {
public:
    using Made = content::OnMade<model::Template>;

    // Borrows the context, the workers and the folder. `shoal` is the command's path.
    TemplateMaker(boost::asio::io_context& context, boost::asio::thread_pool& workers,
                  const content::BundleFolder& folder, std::string shoal)
        : context_{context}, workers_{workers}, folder_{folder}, shoal_{std::move(shoal)} {}

    // Calls `made` on the context's thread, once, if it still runs then. Nobody but this object
    // knows the files before. Throws std::system_error.
    void make(const model::TemplateSpec& spec, Made made);

private:
    class Making;
    void adopt(const model::TemplateSpec& spec, const std::string& partial, Made made);

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    const content::BundleFolder& folder_;
    std::string shoal_;
};

}  // namespace shoal::templates
