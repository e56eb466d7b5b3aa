// A vhost-user backend that answers anything: the input is all that it ever says.
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "devices/backend/vhost_user.h"
#include "devices/host/event_fd.h"
#include "devices/host/os_error.h"
#include "devices/machine/guest_memory.h"

using namespace shoal;

namespace {

// Whatever fails, fails; what counts is that it ends.
void talk(backend::VhostUserChannel&& channel, const machine::GuestMemory& memory) {
    const host::EventFd event;
    backend::VhostUser connection{std::move(channel), "the fuzzer"};
    std::array<std::byte, backend::VhostUser::max_config_bytes> config{};
    static_cast<void>(connection.read_config(config));
    const machine::RamRegion& ram = memory.regions().front();
    const backend::VhostUserRegion region{ram.start.value(), ram.bytes, memory.fd(),
                                          ram.file_offset};
    const std::byte* const ring = ram.bytes.data();
    static_cast<void>(
        connection.start(connection.features(), {&region, 1},
                         {256, ring, ring + 0x1000, ring + 0x2000, event.fd(), event.fd()}));
    static_cast<void>(connection.stop());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    constexpr std::size_t longest = 8192;  // the socket takes it at once
    static const machine::GuestMemory memory{1 << 20};
    std::array<int, 2> ends{};
    host::check_os(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    backend::VhostUserChannel ours{host::UniqueFd{ends[0]}};
    const host::UniqueFd backend{ends[1]};
    if (size_bytes > longest) {
        return 0;
    }
    if (size_bytes > 0) {
        host::check_os(static_cast<int>(::send(backend.get(), data, size_bytes, MSG_NOSIGNAL)),
                       "send");
    }
    ::shutdown(backend.get(), SHUT_WR);  // we may go on to talk, and hear the end
    try {
        talk(std::move(ours), memory);
    } catch (const std::exception&) {
        return 0;  // one sentence about the backend
    }
    return 0;
}
