// Fuzzes addresses and subnets as text: what is taken is written as it was read, and its addresses
// lie in it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "controlplane/network/subnet.h"
#include "devices/host/check.h"

namespace network = shoal::network;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (const auto address = network::parse_address(text)) {
        SHOAL_CHECK(network::to_text(*address) == text);
    }
    if (const auto subnet = network::parse_subnet(text)) {
        SHOAL_CHECK(network::to_text(subnet->first) + "/" + std::to_string(subnet->bits) == text);
        SHOAL_CHECK(subnet->first < subnet->gateway() && subnet->gateway() < subnet->last());
        const auto free = network::find_free(*subnet, {});
        SHOAL_CHECK(free && *free > subnet->gateway() && *free < subnet->last());
    }
    return 0;
}
