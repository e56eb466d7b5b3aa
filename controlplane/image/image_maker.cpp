// Threads of its own: they wait for programs, and nobody is to wait for them.
#include "controlplane/image/image_maker.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "controlplane/image/image_build.h"
#include "devices/host/durable.h"

namespace shoal::images {

ImageMaker::~ImageMaker() {
    stop_.request_stop();
    threads_.join();
}

void ImageMaker::make(const model::ImageSpec& spec, Made made) {
    const std::string partial = folder_.make_partial();
    boost::asio::post(threads_, [this, spec, partial, made = std::move(made)]() mutable {
        auto outcome = make_in(spec, partial);
        boost::asio::post(context_, [made = std::move(made),
                                     outcome = std::move(outcome)]() mutable { made(outcome); });
    });
}

content::MakeOutcome<model::Image> ImageMaker::make_in(const model::ImageSpec& spec,
                                                       const std::string& partial) const {
    content::MakeOutcome<model::Image> outcome;
    try {
        outcome.made = build_image(spec, vmm_, {partial, limits_, stop_.get_token()});
        outcome.made.digest = folder_.adopt(partial);
    } catch (const std::exception& error) {
        host::delete_all(partial);
        outcome.failure = error.what();
    }
    return outcome;
}

}  // namespace shoal::images
