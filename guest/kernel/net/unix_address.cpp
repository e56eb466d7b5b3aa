// UnixAddress: what the bytes mean.
#include "guest/kernel/net/unix_address.h"

namespace shoal::guest {

Result<UnixAddress> UnixAddress::parse(const SocketAddress& address) {
    if (address.size < family_bytes || address.size > family_bytes + path_bytes_max ||
        address.family() != address_family::local) {
        return fail(Errno::inval);
    }
    UnixAddress parsed;
    parsed.address_ = address;
    if (!parsed.is_unnamed() && !parsed.is_abstract()) {
        // As Linux tells it: up to the first NUL, which is counted.
        const std::size_t end = family_bytes + parsed.name().size();
        std::fill(parsed.address_.bytes.begin() + static_cast<std::ptrdiff_t>(end),
                  parsed.address_.bytes.end(), std::byte{0});
        parsed.address_.size = end + 1;
    }
    return parsed;
}

std::string_view UnixAddress::name() const noexcept {
    const std::string_view all{reinterpret_cast<const char*>(address_.bytes.data()) + family_bytes,
                               address_.size - family_bytes};
    return is_abstract() ? all : all.substr(0, all.find('\0'));
}

}  // namespace shoal::guest
