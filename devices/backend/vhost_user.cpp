// Messages of the vhost-user protocol and their order.
#include "devices/backend/vhost_user.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "devices/host/check.h"
#include "devices/host/os_error.h"

namespace shoal::backend {
namespace {

namespace request {
constexpr std::uint32_t get_features = 1;
constexpr std::uint32_t set_features = 2;
constexpr std::uint32_t set_owner = 3;
constexpr std::uint32_t set_mem_table = 5;
constexpr std::uint32_t set_vring_num = 8;
constexpr std::uint32_t set_vring_addr = 9;
constexpr std::uint32_t set_vring_base = 10;
constexpr std::uint32_t get_vring_base = 11;
constexpr std::uint32_t set_vring_kick = 12;
constexpr std::uint32_t set_vring_call = 13;
constexpr std::uint32_t get_protocol_features = 15;
constexpr std::uint32_t set_protocol_features = 16;
constexpr std::uint32_t set_vring_enable = 18;
constexpr std::uint32_t get_config = 24;
}  // namespace request

constexpr std::uint32_t version = 1;
constexpr std::uint32_t flag_reply = 1 << 2;
constexpr std::uint32_t flag_need_reply = 1 << 3;

constexpr std::uint64_t feature_protocol = 1ULL << 30;
constexpr std::uint64_t protocol_reply_ack = 1ULL << 3;
constexpr std::uint64_t protocol_config = 1ULL << 9;

// A backend may have to finish its I/O before it answers.
constexpr timeval time_limit{10, 0};

struct Header {
    std::uint32_t request = 0;
    std::uint32_t flags = version;
    std::uint32_t size_bytes = 0;
};
static_assert(sizeof(Header) == 12);

struct MemoryTable {
    struct Region {
        std::uint64_t guest_address;
        std::uint64_t size_bytes;
        std::uint64_t user_address;
        std::uint64_t file_offset;
    };
    std::uint32_t count;
    std::uint32_t padding;
    std::array<Region, VhostUser::max_regions> regions;
};

struct RingState {
    std::uint32_t idx;
    std::uint32_t value;
};

struct RingAddresses {
    std::uint32_t idx;
    std::uint32_t flags;
    std::uint64_t descriptors;
    std::uint64_t used;
    std::uint64_t avail;
    std::uint64_t log;
};

struct ConfigHeader {
    std::uint32_t offset;
    std::uint32_t size_bytes;
    std::uint32_t flags;
};

std::unexpected<std::error_code> error(int number) {
    return std::unexpected(std::error_code{number, std::generic_category()});
}

std::uint64_t address_of(const std::byte* pointer) {
    // SAFETY: the backend only uses it to find the byte's place in the regions.
    return reinterpret_cast<std::uintptr_t>(pointer);
}

host::UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::invalid_argument("the socket path " + path + " is longer than " +
                                    std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    std::ranges::copy(path, address.sun_path);
    host::UniqueFd socket{
        host::check_os(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        host::throw_os_error("connecting to the vhost-user backend at " + path);
    }
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
        host::check_os(
            ::setsockopt(socket.get(), SOL_SOCKET, option, &time_limit, sizeof time_limit),
            "setsockopt");
    }
    return socket;
}

}  // namespace

struct VhostUser::Message {
    Header header;
    std::array<std::byte, sizeof(ConfigHeader) + max_config_bytes> payload{};
    std::array<int, max_regions> fds{};  // to send along
    std::size_t fd_count = 0;

    explicit Message(std::uint32_t which) noexcept { header.request = which; }
    template <typename T>
    Message(std::uint32_t which, const T& content) noexcept : Message{which} {
        static_assert(sizeof(T) <= sizeof payload);
        header.size_bytes = sizeof content;
        std::memcpy(payload.data(), &content, sizeof content);
    }
    template <typename T>
    [[nodiscard]] Result<T> content() const noexcept {
        if (header.size_bytes != sizeof(T)) {
            return error(EPROTO);
        }
        T value;
        std::memcpy(&value, payload.data(), sizeof value);
        return value;
    }
};

VhostUser::VhostUser(const std::string& socket_path) : socket_{connect_to(socket_path)} {
    negotiate(socket_path);
}

void VhostUser::negotiate(const std::string& socket_path) {
    const auto or_throw = [&socket_path](const auto& result) {
        if (!result) {
            throw std::system_error(result.error(),
                                    "talking to the vhost-user backend at " + socket_path);
        }
        return result;
    };
    const std::uint64_t offered = *or_throw(ask_number(request::get_features));
    std::uint64_t protocol = 0;
    if ((offered & feature_protocol) != 0) {
        protocol = *or_throw(ask_number(request::get_protocol_features)) &
                   (protocol_reply_ack | protocol_config);
        or_throw(tell_number(request::set_protocol_features, protocol));
    }
    if ((protocol & protocol_config) == 0) {
        throw std::runtime_error("the vhost-user backend at " + socket_path +
                                 " has no device configuration (protocol feature 9)");
    }
    confirms_ = (protocol & protocol_reply_ack) != 0;
    Message owner{request::set_owner};
    or_throw(tell(owner));
    features_ = offered & ~feature_protocol;
}

VhostUser::Result<void> VhostUser::send(const Message& message) const noexcept {
    iovec parts[2] = {
        {const_cast<Header*>(&message.header), sizeof message.header},
        {const_cast<std::byte*>(message.payload.data()), message.header.size_bytes},
    };
    msghdr wrapped{};
    wrapped.msg_iov = parts;
    wrapped.msg_iovlen = 2;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * max_regions)> control{};
    if (message.fd_count > 0) {
        const std::size_t fd_bytes = sizeof(int) * message.fd_count;
        wrapped.msg_control = control.data();
        wrapped.msg_controllen = CMSG_SPACE(fd_bytes);
        cmsghdr* const rights = CMSG_FIRSTHDR(&wrapped);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_bytes);
        std::memcpy(CMSG_DATA(rights), message.fds.data(), fd_bytes);
    }
    ssize_t sent = 0;
    do {
        sent = ::sendmsg(socket_.get(), &wrapped, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return error(errno);
    }
    // Far smaller than a socket's buffer: all or nothing.
    const std::size_t expected = sizeof(Header) + message.header.size_bytes;
    return static_cast<std::size_t>(sent) == expected ? Result<void>{} : error(EPIPE);
}

VhostUser::Result<void> VhostUser::receive(Message& message) const noexcept {
    const auto read_all = [this](void* into, std::size_t size_bytes) -> Result<void> {
        auto* at = static_cast<std::byte*>(into);
        while (size_bytes > 0) {
            const ssize_t count = ::recv(socket_.get(), at, size_bytes, 0);
            if (count == 0) {
                return error(ECONNRESET);
            }
            if (count < 0 && errno != EINTR) {
                return error(errno);
            }
            at += std::max<ssize_t>(count, 0);
            size_bytes -= static_cast<std::size_t>(std::max<ssize_t>(count, 0));
        }
        return {};
    };
    Header header;
    if (auto read = read_all(&header, sizeof header); !read) {
        return read;
    }
    if (header.request != message.header.request || (header.flags & flag_reply) == 0 ||
        header.size_bytes > message.payload.size()) {
        return error(EPROTO);
    }
    message.header = header;
    return read_all(message.payload.data(), header.size_bytes);
}

VhostUser::Result<void> VhostUser::ask(Message& message) const noexcept {
    if (auto sent = send(message); !sent) {
        return sent;
    }
    return receive(message);
}

VhostUser::Result<void> VhostUser::tell(Message& message) const noexcept {
    if (!confirms_) {
        return send(message);
    }
    message.header.flags |= flag_need_reply;
    if (auto answered = ask(message); !answered) {
        return answered;
    }
    const auto status = message.content<std::uint64_t>();
    return status && *status == 0 ? Result<void>{} : error(EPROTO);
}

VhostUser::Result<std::uint64_t> VhostUser::ask_number(std::uint32_t request) const noexcept {
    Message message{request};
    if (auto answered = ask(message); !answered) {
        return std::unexpected(answered.error());
    }
    return message.content<std::uint64_t>();
}

VhostUser::Result<void> VhostUser::tell_number(std::uint32_t request,
                                               std::uint64_t value) const noexcept {
    Message message{request, value};
    return tell(message);
}

VhostUser::Result<void> VhostUser::tell_ring_state(std::uint32_t request,
                                                   std::uint32_t value) const noexcept {
    Message message{request, RingState{0, value}};
    return tell(message);
}

VhostUser::Result<void> VhostUser::tell_ring_fd(std::uint32_t request, int fd) const noexcept {
    Message message{request, std::uint64_t{0}};  // the ring's index; the descriptor is there
    message.fds[0] = fd;
    message.fd_count = 1;
    return tell(message);
}

VhostUser::Result<void> VhostUser::read_config(std::span<std::byte> into) noexcept {
    SHOAL_CHECK(into.size() <= max_config_bytes);
    Message message{request::get_config,
                    ConfigHeader{0, static_cast<std::uint32_t>(into.size()), 0}};
    message.header.size_bytes += static_cast<std::uint32_t>(into.size());
    if (auto answered = ask(message); !answered) {
        return answered;
    }
    if (message.header.size_bytes != sizeof(ConfigHeader) + into.size()) {
        return error(EPROTO);
    }
    std::memcpy(into.data(), message.payload.data() + sizeof(ConfigHeader), into.size());
    return {};
}

VhostUser::Result<void> VhostUser::share_memory(
    std::span<const VhostUserRegion> regions) const noexcept {
    SHOAL_CHECK(regions.size() <= max_regions);
    MemoryTable table{};
    table.count = static_cast<std::uint32_t>(regions.size());
    for (std::size_t idx = 0; idx < regions.size(); ++idx) {
        const VhostUserRegion& region = regions[idx];
        table.regions[idx] = {region.guest_address, region.bytes.size(),
                              address_of(region.bytes.data()), region.file_offset};
    }
    Message message{request::set_mem_table, table};
    for (const VhostUserRegion& region : regions) {
        message.fds[message.fd_count++] = region.fd;
    }
    message.header.size_bytes =
        static_cast<std::uint32_t>(8 + regions.size() * sizeof(MemoryTable::Region));
    return tell(message);
}

VhostUser::Result<void> VhostUser::set_up_ring(const VhostUserRing& ring) const noexcept {
    if (auto told = tell_ring_state(request::set_vring_num, ring.size); !told) {
        return told;
    }
    if (auto told = tell_ring_state(request::set_vring_base, 0); !told) {
        return told;
    }
    Message addresses{request::set_vring_addr,
                      RingAddresses{0, 0, address_of(ring.descriptors), address_of(ring.used),
                                    address_of(ring.avail), 0}};
    if (auto told = tell(addresses); !told) {
        return told;
    }
    if (auto told = tell_ring_fd(request::set_vring_call, ring.call_fd); !told) {
        return told;
    }
    return tell_ring_fd(request::set_vring_kick, ring.kick_fd);
}

VhostUser::Result<void> VhostUser::start(std::uint64_t features,
                                         std::span<const VhostUserRegion> regions,
                                         const VhostUserRing& ring) noexcept {
    if (auto told = tell_number(request::set_features, features | feature_protocol); !told) {
        return told;
    }
    if (auto told = share_memory(regions); !told) {
        return told;
    }
    if (auto told = set_up_ring(ring); !told) {
        return told;
    }
    return tell_ring_state(request::set_vring_enable, 1);
}

VhostUser::Result<void> VhostUser::stop() noexcept {
    Message message{request::get_vring_base, RingState{0, 0}};
    return ask(message);
}

}  // namespace shoal::backend
