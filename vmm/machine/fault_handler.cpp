// The handshake, and the watch over who serves.
#include "vmm/machine/fault_handler.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "devices/abi/address_map.h"
#include "devices/host/os_error.h"

namespace shoal::vmm {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;
constexpr timeval connect_timeout{5, 0};

host::UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        throw std::runtime_error("the path of the page fault handler's socket must have 1 to " +
                                 std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    path.copy(address.sun_path, path.size());
    host::UniqueFd fd{host::check_os(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    host::check_os(
        ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &connect_timeout, sizeof connect_timeout),
        "SO_SNDTIMEO");
    // SAFETY: the way of the socket interface.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        host::throw_os_error("no page fault handler at " + path);
    }
    return fd;
}

void send_with_descriptor(int socket, std::string text, int fd) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof fd)> control{};
    iovec bytes{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) {  // a new connection has room for it
        host::throw_os_error("cannot send the page fault handler its descriptor",
                             sent < 0 ? errno : EIO);
    }
}

host::UniqueFd greet(const machine::GuestMemory& memory, const std::string& path, int faults) {
    host::UniqueFd socket = connect_to(path);
    send_with_descriptor(socket.get(), FaultHandler::handshake(memory), faults);
    return socket;
}

}  // namespace

// `page_size_kib` has bytes, too: Firecracker's older name.
std::string FaultHandler::handshake(const machine::GuestMemory& memory) {
    std::string text = "[";
    for (const machine::RamRegion& region : memory.regions()) {
        std::array<char, 256> entry;
        std::snprintf(
            entry.data(), entry.size(),
            "%s{\"base_host_virt_addr\":%llu,\"size\":%zu,\"offset\":%llu,"
            "\"page_size\":%llu,\"page_size_kib\":%llu}",
            text.size() > 1 ? "," : "",
            // SAFETY: the address as a number.
            static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(region.bytes.data())),
            region.bytes.size(), static_cast<unsigned long long>(region.file_offset),
            static_cast<unsigned long long>(abi::page_size),
            static_cast<unsigned long long>(abi::page_size));
        text += entry.data();
    }
    return text + "]";
}

FaultHandler::FaultHandler(const machine::GuestMemory& memory, const std::string& path)
    : path_{path},
      faults_{memory},
      socket_{greet(memory, path, faults_.fd())},
      thread_{"faults", stack_bytes, [this] { watch(); }} {}

FaultHandler::~FaultHandler() {
    stop_.signal();
}

// What it says on the connection is not ours to read.
void FaultHandler::watch() const noexcept {
    std::array<pollfd, 2> watched{{{socket_.get(), POLLRDHUP, 0}, {stop_.fd(), POLLIN, 0}}};
    while (::poll(watched.data(), watched.size(), -1) < 0) {
    }
    if (watched[1].revents != 0) {
        return;
    }
    end_without_memory("the page fault handler at " + path_ +
                       " is gone, and the guest's memory with it");
}

}  // namespace shoal::vmm
