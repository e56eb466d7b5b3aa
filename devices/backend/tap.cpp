// /dev/net/tun.
#include "devices/backend/tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "devices/host/os_error.h"

namespace shoal::backend {
namespace {

constexpr const char* device_path = "/dev/net/tun";
constexpr int vnet_header_bytes = 12;
static_assert(Tap::csum == TUN_F_CSUM && Tap::tso4 == TUN_F_TSO4 && Tap::tso6 == TUN_F_TSO6 &&
              Tap::ecn == TUN_F_TSO_ECN && Tap::ufo == TUN_F_UFO);
#ifdef TUN_F_USO4  // newer than Debian 12's kernel headers
static_assert(Tap::uso4 == TUN_F_USO4 && Tap::uso6 == TUN_F_USO6);
#endif

// For a message: one line, and not a long one.
std::string shown(const std::string& name) {
    std::string text = name.substr(0, 2 * IFNAMSIZ);
    std::ranges::replace_if(
        text, [](unsigned char c) { return std::isprint(c) == 0; }, '?');
    return "\"" + text + "\"";
}

// As dev_valid_name() in the kernel, and no '%', which would ask it to invent a name.
void check_name(const std::string& name) {
    constexpr std::string_view forbidden{"/:% \t\n\v\f\r\0", 10};
    if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == ".." ||
        name.find_first_of(forbidden) != std::string::npos) {
        throw std::invalid_argument(shown(name) +
                                    " is not the name of a network interface: 1 to 15 characters, "
                                    "no space, '/', ':' or '%'");
    }
}

[[noreturn]] void throw_cannot_attach(const std::string& name, int error) {
    std::string what = "the network interface " + name + " cannot be used";
    if (error == EBUSY) {
        what += ", another process uses it";
    } else if (error == EPERM || error == EACCES) {
        what += ", its owner is another user or it does not exist";
    } else if (error == EINVAL) {
        what += ", it is not a TAP with one queue";
    }
    host::throw_os_error(what, error);
}

void attach(int fd, const std::string& name) {
    ifreq request{};
    std::ranges::copy(name, request.ifr_name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (::ioctl(fd, TUNSETIFF, &request) < 0) {
        throw_cannot_attach(name, errno);
    }
    if (::ioctl(fd, TUNSETVNETHDRSZ, &vnet_header_bytes) < 0) {
        host::throw_os_error("the network interface " + name +
                             " does not take packet headers of 12 bytes");
    }
}

bool try_set_offloads(int fd, Tap::Offloads offloads) noexcept {
    return ::ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(offloads)) == 0;
}

Tap::Offloads probe_offloads(int fd) noexcept {
    Tap::Offloads supported = 0;
    // Each takes those before it for granted. Kernels have been without UFO, and may be again.
    constexpr Tap::Offloads always = Tap::csum | Tap::tso4 | Tap::tso6 | Tap::ecn;
    for (const Tap::Offloads more : {always, Tap::ufo, Tap::uso4 | Tap::uso6}) {
        supported |= try_set_offloads(fd, supported | more) ? more : 0;
    }
    static_cast<void>(try_set_offloads(fd, 0));
    return supported;
}

Tap::Status status_of(int error) noexcept {
    switch (error) {
        case EAGAIN:
            return Tap::Status::would_block;
        case EBADFD:  // deleted
        case EPIPE:   // the other end of a test's socket
            return Tap::Status::gone;
        default:
            return Tap::Status::refused;
    }
}

// Calls readv or writev again where a signal came first.
template <typename Call>
Tap::Result transfer(Call call, int fd, std::span<const iovec> pieces) noexcept {
    ssize_t count = 0;
    do {
        count = call(fd, pieces.data(), static_cast<int>(pieces.size()));
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return {status_of(errno), 0};
    }
    if (count == 0) {
        return {Tap::Status::gone, 0};  // the end of a test's socket; a TAP has none
    }
    return {Tap::Status::done, static_cast<std::size_t>(count)};
}

}  // namespace

Tap::Tap(host::UniqueFd fd, Offloads supported) noexcept
    : fd_{std::move(fd)}, supported_{supported} {}

Tap Tap::open(const std::string& name) {
    check_name(name);
    host::UniqueFd fd{::open(device_path, O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (!fd) {
        host::throw_os_error(std::string{device_path} +
                             " cannot be opened for the network interface " + name);
    }
    attach(fd.get(), name);
    const Offloads supported = probe_offloads(fd.get());
    return Tap{std::move(fd), supported};
}

std::optional<Tap> Tap::try_share() const {
    ifreq request{};
    if (::ioctl(fd_.get(), TUNGETIFF, &request) < 0) {
        return std::nullopt;
    }
    return Tap{host::UniqueFd{host::check_os(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0),
                                             "a descriptor for the network interface")},
               supported_};
}

Tap Tap::adopt(host::UniqueFd fd, Offloads supported) noexcept {
    return Tap{std::move(fd), supported};
}

void Tap::set_offloads(Offloads offloads) noexcept {
    const Offloads lost = offloads_ & ~offloads;
    // Where the kernel refuses, packets ask for nothing, which suits every reader.
    if (!try_set_offloads(fd_.get(), offloads)) {
        static_cast<void>(try_set_offloads(fd_.get(), 0));
    }
    offloads_ = offloads;
    if (lost != 0) {
        drop_waiting();
    }
}

void Tap::drop_waiting() const noexcept {
    constexpr unsigned most = 4096;  // an interface's queue is 500 to 1000 packets by default
    std::array<std::byte, vnet_header_bytes> header;
    const iovec piece{header.data(), header.size()};
    for (unsigned count = 0; count < most; ++count) {
        if (read({&piece, 1}).status != Status::done) {
            return;
        }
    }
}

Tap::Result Tap::read(std::span<const iovec> into) const noexcept {
    return transfer(::readv, fd_.get(), into);
}

Tap::Result Tap::write(std::span<const iovec> from) const noexcept {
    return transfer(::writev, fd_.get(), from);
}

}  // namespace shoal::backend
