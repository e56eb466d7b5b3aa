// Fuzzes what the guest reads of ICMP's messages: all that it returns lies within the message.
#include "guest/net/refused_datagram.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using shoal::guest::net::IcmpVersion;

void require_within(std::span<const std::byte> part, std::span<const std::byte> whole,
                    std::size_t size_bytes) {
    if (part.size() != size_bytes || part.data() < whole.data() ||
        part.data() + part.size() > whole.data() + whole.size()) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span message{reinterpret_cast<const std::byte*>(data), size};
    for (const auto version : {IcmpVersion::v4, IcmpVersion::v6}) {
        if (const auto datagram = shoal::guest::net::refused_datagram(message, version)) {
            const std::size_t address_bytes = version == IcmpVersion::v4 ? 4 : 16;
            require_within(datagram->source, message, address_bytes);
            require_within(datagram->destination, message, address_bytes);
        }
    }
    return 0;
}
