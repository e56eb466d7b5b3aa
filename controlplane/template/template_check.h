// TemplateCheck: that a template's files are still what its name says. All of them are read once,
// beside the loop, and again whenever they were touched.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace shoal::templates {

enum class Soundness { unknown, sound, damaged, absent };

class TemplateCheck {
public:
    // Borrows both. Answers come on the context's thread.
    TemplateCheck(boost::asio::io_context& context, boost::asio::thread_pool& workers)
        : context_{context}, workers_{workers} {}

    // Of the folder whose name is its digest. Unknown: it is being looked at, ask again.
    [[nodiscard]] Soundness look(const std::string& folder);

private:
    // What changes when a file is written to, or another one takes its place.
    using Stamp = std::array<std::int64_t, 10>;
    struct Seen {
        Stamp stamp{};
        Soundness soundness = Soundness::unknown;
    };
    [[nodiscard]] static bool stamp_of(const std::string& folder, Stamp& stamp);

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    std::map<std::string, Seen> seen_;
    std::shared_ptr<TemplateCheck*> self_ = std::make_shared<TemplateCheck*>(this);
};

}  // namespace shoal::templates
