// By its prefix: the rest is skopeo's.
#include "controlplane/image/image_source.h"

namespace shoal::images {

std::string refuse_source(std::string_view from) {
    if (from.starts_with("docker://")) {
        return {};
    }
    for (const std::string_view transport : path_transports) {
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
    return std::string{from.starts_with(erofs_transport) ? from.substr(erofs_transport.size()) : ""};
}

}  // namespace shoal::images
