// /v1/images: import, get, list, delete.
#pragma once

#include "controlplane/api/made_objects.h"
#include "controlplane/image/image_maker.h"

namespace shoal::rest {

using Images = MadeObjects<model::ImageSpec, model::Image>;

// Borrows all.
[[nodiscard]] Images make_images(Service& service, const content::BundleFolder& folder,
                                 content::BundleCheck& check, images::ImageMaker& maker);

}  // namespace shoal::rest
