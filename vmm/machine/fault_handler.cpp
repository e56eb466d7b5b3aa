// userfaultfd (Documentation/admin-guide/mm/userfaultfd.rst), and the handshake.
#include "vmm/machine/fault_handler.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "devices/abi/address_map.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "vmm/machine/ending.h"

namespace shoal::vmm {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;
constexpr timeval connect_timeout{5, 0};

// Faults of the kernel too, which KVM's are. The device grants it by its file's mode, the system
// call to CAP_SYS_PTRACE or by a sysctl.
host::UniqueFd open_userfaultfd() {
    const host::UniqueFd device{::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC)};
    constexpr int flags = O_CLOEXEC | O_NONBLOCK;
    host::UniqueFd fd{device ? ::ioctl(device.get(), USERFAULTFD_IOC_NEW, flags)
                             : static_cast<int>(::syscall(SYS_userfaultfd, flags))};
    if (!fd) {
        host::throw_os_error("userfaultfd");
    }
    uffdio_api api{};
    api.api = UFFD_API;
    host::check_os(::ioctl(fd.get(), UFFDIO_API, &api), "UFFDIO_API");
    return fd;
}

host::UniqueFd register_memory(const machine::GuestMemory& memory) {
    host::UniqueFd fd = open_userfaultfd();
    for (const machine::RamRegion& region : memory.regions()) {
        uffdio_register wanted{};
        // SAFETY: the kernel takes the address as a number.
        wanted.range = {reinterpret_cast<std::uint64_t>(region.bytes.data()), region.bytes.size()};
        wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
        host::check_os(::ioctl(fd.get(), UFFDIO_REGISTER, &wanted), "UFFDIO_REGISTER");
    }
    return fd;
}

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
      faults_{register_memory(memory)},
      socket_{greet(memory, path, faults_.get())},
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
    const std::string sentence =
        "the page fault handler at " + path_ + " is gone, and the guest's memory with it";
    std::fprintf(stderr, "shoal-vmm: %s\n", sentence.c_str());
    host::log(host::LogLevel::error, sentence);
    ::_exit(static_cast<int>(ExitCode::failure));
}

}  // namespace shoal::vmm
