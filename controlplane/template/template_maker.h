// TemplateMaker: makes templates, from a program or from a folder of the host.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <string>

#include "controlplane/model/template.h"
#include "controlplane/template/template_folder.h"

namespace shoal::templates {

class TemplateMaker {
public:
    // A plain pair: clang 14 cannot destroy a std::expected of these (store/result.h).
    struct Outcome {
        model::Template made;
        std::string failure;  // one sentence; empty: it was made
    };
    using Made = std::move_only_function<void(const Outcome&)>;

    // Borrows the context, the workers and the folder. `shoal` is the command's path.
    TemplateMaker(boost::asio::io_context& context, boost::asio::thread_pool& workers,
                  const TemplateFolder& folder, std::string shoal)
        : context_{context}, workers_{workers}, folder_{folder}, shoal_{std::move(shoal)} {}

    // Calls `made` on the context's thread, once, if it still runs then. Nobody but this object
    // knows the files before. Throws std::system_error.
    void make(const model::TemplateSpec& spec, Made made);

private:
    class Making;
    void adopt(const model::TemplateSpec& spec, const std::string& partial, Made made);

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    const TemplateFolder& folder_;
    std::string shoal_;
};

}  // namespace shoal::templates
