// By its prefix: the rest is skopeo's.
#include "controlplane/image/image_source.h"

namespace shoal::images {
namespace {

constexpr std::string_view erofs = "erofs:";

}  // namespace

std::string refuse_source(std::string_view from) {
    if (from.starts_with("docker://")) {
        return {};
    }
    for (const std::string_view transport :
         {std::string_view{"oci:"}, std::string_view{"docker-archive:"}, erofs}) {
        if (!from.starts_with(transport)) {
            continue;
        }
        return from.substr(transport.size()).starts_with('/')
                   ? ""
                   : std::string{transport} + " needs an absolute path of the host";
    }
    return "it begins with none of oci:, docker-archive:, docker:// and erofs:";
}

std::string erofs_path(std::string_view from) {
    return std::string{from.starts_with(erofs) ? from.substr(erofs.size()) : ""};
}

}  // namespace shoal::images
