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
    return "it begins with none of oci:, docker-archive:, docker://, erofs:, kernel: and "
           "initramfs:";
}

model::ImageKind kind_of(std::string_view from) {
    return from.starts_with(kernel_transport)      ? model::ImageKind::kernel
           : from.starts_with(initramfs_transport) ? model::ImageKind::initramfs
                                                   : model::ImageKind::root;
}

std::string file_path(std::string_view from) {
    for (const std::string_view transport : file_transports) {
        if (from.starts_with(transport)) {
            return std::string{from.substr(transport.size())};
        }
    }
    return {};
}

}  // namespace shoal::images
