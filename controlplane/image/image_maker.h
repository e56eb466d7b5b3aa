// ImageMaker: imports images, beside the loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <stop_token>
#include <string>
#include <utility>

#include "controlplane/content/bundle_folder.h"
#include "controlplane/content/made.h"
#include "controlplane/image/guarded_child.h"
#include "controlplane/model/image.h"

namespace shoal::images {

// Each takes a CPU, and up to its limit of the disk.
inline constexpr long max_images_in_making = 2;

class ImageMaker {
public:
    using Made = content::OnMade<model::Image>;

    // Borrows both. `vmm`: the path of shoal-vmm.
    ImageMaker(boost::asio::io_context& context, const content::BundleFolder& folder,
               std::string vmm, const Limits& limits = {})
        : context_{context}, folder_{folder}, vmm_{std::move(vmm)}, limits_{limits} {}
    ImageMaker(const ImageMaker&) = delete;
    ImageMaker& operator=(const ImageMaker&) = delete;
    // Ends what is being made.
    ~ImageMaker();

    // Calls `made` on the context's thread, once, if it still runs then. Nobody but this object
    // knows the files before. Throws std::system_error.
    void make(const model::ImageSpec& spec, Made made);

private:
    [[nodiscard]] content::MakeOutcome<model::Image> make_in(const model::ImageSpec& spec,
                                                             const std::string& partial) const;

    boost::asio::io_context& context_;
    const content::BundleFolder& folder_;
    std::string vmm_;
    Limits limits_;
    std::stop_source stop_;
    boost::asio::thread_pool threads_{max_images_in_making};
};

}  // namespace shoal::images
