// The address of another host, from its record: it is one, or nothing.
#include "controlplane/peer/endpoint.h"

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string_view>

#include "devices/host/check.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const auto endpoint = peer::parse_endpoint({reinterpret_cast<const char*>(data), size});
    if (endpoint) {
        std::ostringstream text;
        text << *endpoint;
        SHOAL_CHECK(peer::parse_endpoint(text.str()) == endpoint);
    }
    return 0;
}
