// The serial port: neither in GET /vm/config nor in a configuration file, as in Firecracker.
#include "vmm/api/serial.h"

namespace shoal::api {

ParsedRequest parse_put_serial(const Call& call) {
    const auto serial = parse_body<vmm::SerialConfig>(call);
    return {[serial](Context& context) {
        with_prefix("Serial config error: ", [&] { context.microvm.set_serial(serial); });
        context.config.serial = serial;
        return no_content();
    }};
}

}  // namespace shoal::api
