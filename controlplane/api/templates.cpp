// A kind of made objects.
#include "controlplane/api/templates.h"

#include <utility>

namespace shoal::rest {
namespace {

std::string copy_name(const std::string& name) {
    return name;
}

bool is_used_by(const std::string& name, const model::MicroVmSpec& spec) {
    return spec.from_template == name;
}

void check_new(const model::TemplateSpec& spec) {
    if (!spec.from.empty() && !spec.from.starts_with('/')) {
        throw Problem{400, "template.from must be an absolute path of the host"};
    }
}

}  // namespace

Templates make_templates(Service& service, const content::BundleFolder& folder,
                         content::BundleCheck& check, templates::TemplateMaker& maker) {
    return {service,
            folder,
            check,
            model::keys::templates,
            &node::Objects::templates,
            copy_name,
            is_used_by,
            max_templates_in_making,
            check_new,
            [&maker](model::TemplateSpec spec, Templates::Made made) {
                spec.vsock = spec.vsock || spec.exec;
                maker.make(spec, std::move(made));
            }};
}

}  // namespace shoal::rest
