// /boot-source
#pragma once

#include "vmm/api/action.h"

namespace shoal::api {

template <>
struct Description<vmm::BootSourceConfig> {
    using Body = vmm::BootSourceConfig;
    static constexpr std::string_view name = "BootSource";
    static constexpr std::tuple fields{
        required("kernel_image_path", &Body::kernel_image_path),
        optional("initrd_path", &Body::initrd_path),
        sparse("boot_args", &Body::boot_args),
    };
};

[[nodiscard]] ParsedRequest parse_put_boot_source(const Call& call);

// Opens kernel and initrd. Throws Fault.
void set_boot_source(Context& context, const vmm::BootSourceConfig& boot_source);

}  // namespace shoal::api
