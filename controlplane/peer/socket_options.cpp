// tcp(7).
#include "controlplane/peer/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace shoal::peer {
namespace {

using boost::asio::ip::tcp;

// Silence for so long, then so many questions without an answer: 5 + 3 * 2 seconds.
constexpr int idle_s = 5;
constexpr int interval_s = 2;
constexpr int questions = 3;
// The same for what was sent and is not acknowledged.
constexpr int unacknowledged_ms = 11'000;

void set(tcp::socket& socket, int name, int value) {
    // What a kernel does not know it does without.
    static_cast<void>(
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, name, &value, sizeof value));
}

}  // namespace

void watch_connection(tcp::socket& socket) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    socket.set_option(tcp::socket::keep_alive{true}, ignored);
    set(socket, TCP_KEEPIDLE, idle_s);
    set(socket, TCP_KEEPINTVL, interval_s);
    set(socket, TCP_KEEPCNT, questions);
    set(socket, TCP_USER_TIMEOUT, unacknowledged_ms);
}

}  // namespace shoal::peer
