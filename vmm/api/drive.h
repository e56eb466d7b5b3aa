// /drives/{drive_id}
#pragma once

#include <array>

#include "vmm/api/action.h"
#include "vmm/api/rate_limiter.h"

namespace shoal::api {

template <>
struct Names<vmm::CacheType> {
    static constexpr std::array values{
        std::pair<std::string_view, vmm::CacheType>{"Unsafe", vmm::CacheType::unsafe},
        std::pair<std::string_view, vmm::CacheType>{"Writeback", vmm::CacheType::writeback},
    };
};

template <>
struct Names<vmm::IoEngine> {
    static constexpr std::array values{
        std::pair<std::string_view, vmm::IoEngine>{"Sync", vmm::IoEngine::sync},
        std::pair<std::string_view, vmm::IoEngine>{"Async", vmm::IoEngine::async},
    };
};

template <>
struct Description<vmm::DriveConfig> {
    using Body = vmm::DriveConfig;
    static constexpr std::string_view name = "Drive";
    static constexpr std::tuple fields{
        required("drive_id", &Body::drive_id),
        optional("partuuid", &Body::partuuid),
        required("is_root_device", &Body::is_root_device),
        optional("cache_type", &Body::cache_type),
        optional("is_read_only", &Body::is_read_only),
        optional("path_on_host", &Body::path_on_host),
        optional("rate_limiter", &Body::rate_limiter),
        optional("io_engine", &Body::io_engine),
        sparse("direct_io", &Body::direct_io),
        optional("socket", &Body::socket),
    };
};

template <>
struct Description<vmm::DriveUpdate> {
    using Body = vmm::DriveUpdate;
    static constexpr std::string_view name = "PartialDrive";
    static constexpr std::tuple fields{
        required("drive_id", &Body::drive_id),
        optional("path_on_host", &Body::path_on_host),
        optional("rate_limiter", &Body::rate_limiter),
    };
};

[[nodiscard]] ParsedRequest parse_put_drive(const Call& call);
[[nodiscard]] ParsedRequest parse_patch_drive(const Call& call);

// Opens the drive's file or socket and adds it to the configuration, or replaces the drive with
// the same id. Throws Fault.
void set_drive(Context& context, vmm::DriveConfig drive);

}  // namespace shoal::api
