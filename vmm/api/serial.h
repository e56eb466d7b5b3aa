// /serial
#pragma once

#include "vmm/api/action.h"
#include "vmm/api/rate_limiter.h"

namespace shoal::api {

template <>
struct Description<vmm::SerialConfig> {
    using Body = vmm::SerialConfig;
    static constexpr std::string_view name = "SerialDevice";
    static constexpr std::tuple fields{
        optional("serial_out_path", &Body::serial_out_path),
        optional("rate_limiter", &Body::rate_limiter),
    };
};

[[nodiscard]] ParsedRequest parse_put_serial(const Call& call);

}  // namespace shoal::api
