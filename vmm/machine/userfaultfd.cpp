// The ioctls of userfaultfd.
#include "vmm/machine/userfaultfd.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "devices/abi/address_map.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "vmm/machine/zero_page.h"

namespace shoal::vmm {
namespace {

// The device grants faults of the kernel, which KVM's are, by its file's mode; the system call
// grants them to CAP_SYS_PTRACE or by a sysctl.
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

// SAFETY: the kernel takes addresses as numbers.
std::uint64_t address_of(const std::byte* at) noexcept {
    return reinterpret_cast<std::uintptr_t>(at);
}

// What an ioctl has done: so many bytes, or the error in place of a count.
std::int64_t copy(int fd, std::uint64_t to, std::span<const std::byte> bytes) {
    uffdio_copy order{to, address_of(bytes.data()), bytes.size(), 0, 0};
    return ::ioctl(fd, UFFDIO_COPY, &order) == 0 || order.copy != 0 ? order.copy : -errno;
}

std::int64_t put_zeros(int fd, std::uint64_t to, std::uint64_t size_bytes) {
    uffdio_zeropage order{{to, size_bytes}, 0, 0};
    return ::ioctl(fd, UFFDIO_ZEROPAGE, &order) == 0 || order.zeropage != 0 ? order.zeropage
                                                                            : -errno;
}

void wake(int fd, std::uint64_t page) {
    uffdio_range range{page, abi::page_size};
    host::check_os(::ioctl(fd, UFFDIO_WAKE, &range), "UFFDIO_WAKE");
}

}  // namespace

Userfaultfd::Userfaultfd(const machine::GuestMemory& memory)
    : memory_{memory}, fd_{open_userfaultfd()} {
    uffdio_register wanted{};
    wanted.range = {address_of(memory.bytes().data()), memory.size_bytes()};
    wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
    host::check_os(::ioctl(fd_.get(), UFFDIO_REGISTER, &wanted), "UFFDIO_REGISTER");
}

std::optional<std::uint64_t> Userfaultfd::next_fault() const {
    uffd_msg message{};
    ssize_t size = -1;
    while ((size = ::read(fd_.get(), &message, sizeof message)) < 0 && errno == EINTR) {
    }
    if (size < 0 && errno == EAGAIN) {
        return std::nullopt;
    }
    if (size != sizeof message || message.event != UFFD_EVENT_PAGEFAULT) {
        host::throw_os_error("reading page faults", size < 0 ? errno : EIO);
    }
    const std::uint64_t offset = message.arg.pagefault.address - address_of(memory_.bytes().data());
    return offset & ~(abi::page_size - 1);
}

void Userfaultfd::put(Pages pages) const {
    const auto page_at = [&](std::size_t at) { return pages.bytes.subspan(at, abi::page_size); };
    for (std::size_t from = 0; from < pages.bytes.size();) {
        const bool is_zeros = is_zero(page_at(from));
        std::size_t end = from + abi::page_size;
        while (end < pages.bytes.size() && is_zero(page_at(end)) == is_zeros) {
            end += abi::page_size;
        }
        put_run({pages.offset + from, pages.bytes.subspan(from, end - from)}, is_zeros);
        from = end;
    }
}

// EEXIST: the page is there. ENOENT: the balloon has put new pages in the place of one of them,
// which do not belong here, but who waited for the old one still does. The kernel then puts none of
// the run's, so that each page is tried by itself. EAGAIN: the process changes its mappings.
void Userfaultfd::put_run(Pages run, bool is_zeros) const {
    std::size_t step = run.bytes.size();
    while (!run.bytes.empty()) {
        const std::uint64_t to = address_of(memory_.bytes().data()) + run.offset;
        const auto bytes = run.bytes.first(std::min(step, run.bytes.size()));
        std::int64_t done =
            is_zeros ? put_zeros(fd_.get(), to, bytes.size()) : copy(fd_.get(), to, bytes);
        if (done == -ENOENT && bytes.size() > abi::page_size) {
            step = abi::page_size;
            continue;
        }
        if (done == -EEXIST || done == -ENOENT) {
            wake(fd_.get(), to);
            done = abi::page_size;
        }
        if (done < 0 && done != -EAGAIN) {
            host::throw_os_error("cannot put a page into the guest's memory",
                                 static_cast<int>(-done));
        }
        const auto size = static_cast<std::size_t>(std::max<std::int64_t>(done, 0));
        run = {run.offset + size, run.bytes.subspan(size)};
    }
}

void end_without_memory(const std::string& sentence, ExitCode code) noexcept {
    std::fprintf(stderr, "shoal-vmm: %s\n", sentence.c_str());
    host::log(host::LogLevel::error, sentence);
    ::_exit(static_cast<int>(code));
}

}  // namespace shoal::vmm
