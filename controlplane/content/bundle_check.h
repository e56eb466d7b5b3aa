// BundleCheck: that a bundle's files are still what its name says. All of them are read once,
// beside the loop, and again whenever they were touched.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/content/bundle_folder.h"

namespace shoal::content {

enum class Soundness { unknown, sound, damaged, absent };

class BundleCheck {
public:
    // Borrows all. On the context's thread.
    BundleCheck(boost::asio::io_context& context, boost::asio::thread_pool& workers,
                const BundleFolder& folder)
        : context_{context}, workers_{workers}, folder_{folder} {}

    // Unknown: it is being looked at, ask again.
    [[nodiscard]] Soundness look(const std::string& digest);

private:
    // What changes when a file is written to, or another one takes its place.
    using Stamp = std::vector<std::int64_t>;
    struct Seen {
        Stamp stamp{};
        Soundness soundness = Soundness::unknown;
    };
    // Empty: it is not there.
    [[nodiscard]] Stamp stamp_of(const std::string& digest) const;

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    const BundleFolder& folder_;
    std::map<std::string, Seen> seen_;
    std::shared_ptr<BundleCheck*> self_ = std::make_shared<BundleCheck*>(this);
};

}  // namespace shoal::content
