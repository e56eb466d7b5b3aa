// /v1/templates: prepare or import, get, list, delete.
#pragma once

#include "controlplane/api/made_objects.h"
#include "controlplane/template/template_maker.h"

namespace shoal::rest {

// A program that gets ready takes a CPU, and its memory twice.
inline constexpr long max_templates_in_making = 2;

using Templates = MadeObjects<model::TemplateSpec, model::Template>;

// Borrows all.
[[nodiscard]] Templates make_templates(Service& service, const content::BundleFolder& folder,
                                       content::BundleCheck& check,
                                       templates::TemplateMaker& maker);

}  // namespace shoal::rest
