// A kind of made objects.
#include "controlplane/api/images.h"

#include <algorithm>
#include <utility>

#include "controlplane/image/image_source.h"

namespace shoal::rest {
namespace {

bool is_used_by(const std::string& name, const model::MicroVmSpec& spec) {
    return std::ranges::count(spec.image_names(), name) != 0;
}

void check_new(const model::ImageSpec& spec) {
    if (const std::string why = images::refuse_source(spec.from); !why.empty()) {
        throw Problem{400, "image.from: " + why};
    }
    if (!spec.cmdline.empty() && images::kind_of(spec.from) != model::ImageKind::kernel) {
        throw Problem{400, "image.cmdline is a kernel's: image.from must begin with kernel:"};
    }
}

}  // namespace

Images make_images(Service& service, const content::BundleFolder& folder,
                   content::BundleCheck& check, images::ImageMaker& maker) {
    return {service,
            folder,
            check,
            model::keys::images,
            &node::Objects::images,
            model::copy_name_of_image,
            is_used_by,
            images::max_images_in_making,
            check_new,
            [&maker](const model::ImageSpec& spec, Images::Made made) {
                maker.make(spec, std::move(made));
            }};
}

}  // namespace shoal::rest
