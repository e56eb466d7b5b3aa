// Which messages of the vhost-user protocol are sent, and in which order.
#include "devices/backend/vhost_user.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "devices/host/check.h"

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

constexpr std::uint64_t feature_protocol = 1ULL << 30;
constexpr std::uint64_t protocol_reply_ack = 1ULL << 3;
constexpr std::uint64_t protocol_config = 1ULL << 9;

// Payloads, as the protocol lays them out.
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

}  // namespace

std::system_error vhost_user_error(std::error_code error, std::string doing) {
    if (error == std::errc::timed_out) {
        doing += " within " + std::to_string(VhostUserChannel::time_limit_ms) + " ms";
    }
    return {error, doing};
}

VhostUser::VhostUser(const std::string& socket_path)
    : VhostUser{VhostUserChannel{socket_path}, socket_path} {}

VhostUser::VhostUser(VhostUserChannel&& channel, const std::string& socket_path)
    : channel_{std::move(channel)} {
    negotiate(socket_path);
}

void VhostUser::negotiate(const std::string& socket_path) {
    channel_.begin_conversation();
    const auto or_throw = [&socket_path](const auto& result) {
        if (!result) {
            throw vhost_user_error(result.error(),
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

VhostUser::Result<void> VhostUser::tell(Message& message) const noexcept {
    if (!confirms_) {
        return channel_.send(message);
    }
    message.header.flags |= Message::flag_need_reply;
    if (auto answered = channel_.ask(message); !answered) {
        return answered;
    }
    const auto status = message.content<std::uint64_t>();
    return status && *status == 0 ? Result<void>{} : error(EPROTO);
}

VhostUser::Result<std::uint64_t> VhostUser::ask_number(std::uint32_t request) const noexcept {
    Message message{request};
    if (auto answered = channel_.ask(message); !answered) {
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
    channel_.begin_conversation();
    Message message{request::get_config,
                    ConfigHeader{0, static_cast<std::uint32_t>(into.size()), 0}};
    message.header.size_bytes += static_cast<std::uint32_t>(into.size());
    if (auto answered = channel_.ask(message); !answered) {
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
    channel_.begin_conversation();
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
    channel_.begin_conversation();
    Message message{request::get_vring_base, RingState{0, 0}};
    return channel_.ask(message);
}

}  // namespace shoal::backend
