// What a socket does unless its family knows better.
#include "guest/kernel/net/socket.h"

namespace shoal::guest {

Result<void> Socket::bind(const SocketAddress&) {
    return fail(Errno::opnotsupp);
}

Result<void> Socket::listen(std::uint32_t) {
    return fail(Errno::opnotsupp);
}

Result<SocketRef> Socket::accept(SocketAddress&) {
    return fail(Errno::opnotsupp);
}

Result<void> Socket::connect(const SocketAddress&) {
    return fail(Errno::opnotsupp);
}

Result<std::size_t> Socket::send(OutgoingMessage&) {
    return fail(Errno::opnotsupp);
}

Result<std::size_t> Socket::receive(IncomingMessage&) {
    return fail(Errno::opnotsupp);
}

Result<void> Socket::shutdown(Shutdown) {
    return fail(Errno::opnotsupp);
}

Result<SocketAddress> Socket::local_address() const {
    return fail(Errno::opnotsupp);
}

Result<SocketAddress> Socket::peer_address() const {
    return fail(Errno::notconn);
}

Result<void> Socket::set_option(SocketOption, std::span<const std::byte>) {
    return fail(Errno::noprotoopt);
}

Result<std::size_t> Socket::get_option(SocketOption, std::span<std::byte>) const {
    return fail(Errno::noprotoopt);
}

Result<std::size_t> Socket::read(OpenFile&, std::uint64_t, Destination& to, std::size_t count) {
    IncomingMessage message{.data = to, .size = count};
    return receive(message);
}

Result<std::size_t> Socket::write(OpenFile&, std::uint64_t, Source& from, std::size_t count) {
    OutgoingMessage message{.data = from, .size = count};
    return send(message);
}

}  // namespace shoal::guest
