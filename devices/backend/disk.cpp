// Opens disk images and finds out what they can do.
#include "devices/backend/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "devices/host/os_error.h"

namespace shoal::backend {
namespace {

// The image may be any file that the operator names. O_NONBLOCK: opening a pipe must not wait.
host::UniqueFd open_image(const DiskConfig& config, int how_to_write) {
    const bool read_only = config.access == DiskAccess::read_only;
    const int flags = (read_only ? O_RDONLY : O_RDWR) | how_to_write;
    host::UniqueFd fd{::open(config.path.c_str(), flags | O_CLOEXEC | O_NONBLOCK)};
    if (!fd) {
        const std::string how = (how_to_write & O_DIRECT) != 0 ? " with O_DIRECT"
                                : read_only                    ? " for reading"
                                                               : "";
        host::throw_os_error("opening the disk image " + config.path + how);
    }
    // io_uring takes the flag as the wish never to wait for the disk.
    host::check_os(::fcntl(fd.get(), F_SETFL, how_to_write & O_DIRECT), "fcntl(F_SETFL)");
    return fd;
}

DiskId make_id(const struct stat& file) {
    const std::string text =
        std::to_string(file.st_dev) + std::to_string(file.st_rdev) + std::to_string(file.st_ino);
    DiskId id{};
    std::ranges::copy(text.substr(0, id.size()), id.begin());
    return id;
}

}  // namespace

Disk::Disk(const DiskConfig& config)
    : config_{config}, fd_{open_image(config, is_direct() ? O_DIRECT : 0)} {
    measure();
    if (is_direct()) {
        cached_ = open_image(config, O_DSYNC);
        measure_direct_alignment();
    }
}

void Disk::forget_cached() const noexcept {
    if (is_direct()) {
        static_cast<void>(::posix_fadvise(cached_.get(), 0, 0, POSIX_FADV_DONTNEED));
    }
}

void Disk::measure() {
    struct stat file {};
    host::check_os(::fstat(fd_.get(), &file), "fstat of a disk image");
    auto size_bytes = static_cast<std::uint64_t>(file.st_size);
    is_block_device_ = S_ISBLK(file.st_mode);
    if (is_block_device_) {
        measure_device(size_bytes);
    } else if (!S_ISREG(file.st_mode)) {
        throw std::invalid_argument("the disk image " + config_.path +
                                    " is neither a regular file nor a block device");
    }
    capacity_sectors_ = size_bytes / sector_bytes;
    id_ = make_id(file);
}

void Disk::measure_device(std::uint64_t& size_bytes) {
    int logical_block_bytes = 0;
    if (::ioctl(fd_.get(), BLKGETSIZE64, &size_bytes) != 0 ||
        ::ioctl(fd_.get(), BLKSSZGET, &logical_block_bytes) != 0) {
        host::throw_os_error("asking for the size of the block device " + config_.path);
    }
    block_bytes_ = std::max(block_bytes_, static_cast<std::uint32_t>(logical_block_bytes));
}

void Disk::measure_direct_alignment() {
    constexpr std::uint32_t safe_alignment = 4096;  // where the kernel does not tell (before 6.1)
    offset_alignment_ = memory_alignment_ = safe_alignment;
#ifdef STATX_DIOALIGN
    struct statx file {};
    if (::statx(fd_.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &file) == 0 &&
        (file.stx_mask & STATX_DIOALIGN) != 0 && file.stx_dio_offset_align != 0) {
        offset_alignment_ = file.stx_dio_offset_align;
        memory_alignment_ = file.stx_dio_mem_align;
    }
#endif
    block_bytes_ = std::max(block_bytes_, offset_alignment_);
}

bool Disk::takes(std::uint64_t offset, std::span<const iovec> buffers) const noexcept {
    if (!is_direct()) {
        return true;
    }
    return offset % offset_alignment_ == 0 &&
           std::ranges::all_of(buffers, [this](const iovec& buffer) {
               // SAFETY: the address is only looked at.
               return reinterpret_cast<std::uintptr_t>(buffer.iov_base) % memory_alignment_ == 0 &&
                      buffer.iov_len % offset_alignment_ == 0;
           });
}

}  // namespace shoal::backend
