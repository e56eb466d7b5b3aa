// Bounded reads of an image.
#include "vmm/boot/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace shoal::boot {

ImageFile::ImageFile(std::string what, const std::string& path)
    : name_{std::move(what) + " " + path}, fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {
    if (!fd_) {
        fail(std::string{"cannot be opened: "} + std::strerror(errno));
    }
    struct stat status {};
    if (::fstat(fd_.get(), &status) < 0 || !S_ISREG(status.st_mode)) {
        fail("is not a regular file");
    }
    if (status.st_size == 0) {
        fail("is empty (0 bytes)");
    }
    size_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

void ImageFile::read(std::uint64_t offset, std::span<std::byte> into) const {
    if (offset > size_bytes_ || into.size() > size_bytes_ - offset) {
        fail("is truncated: needs " + std::to_string(into.size()) + " bytes at offset " +
             std::to_string(offset) + ", has " + std::to_string(size_bytes_));
    }
    for (std::size_t done = 0; done < into.size();) {
        const ssize_t count = ::pread(fd_.get(), into.data() + done, into.size() - done,
                                      static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            fail("cannot be read at offset " + std::to_string(offset + done));
        }
        done += static_cast<std::size_t>(count);
    }
}

void ImageFile::read_sparse(std::span<std::byte> into) const {
    for (std::uint64_t at = 0; at < into.size();) {
        const off_t data = ::lseek(fd_.get(), static_cast<off_t>(at), SEEK_DATA);
        if (data < 0) {
            return;  // ENXIO: the rest is a hole
        }
        const off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
        const auto start = static_cast<std::uint64_t>(data);
        const std::uint64_t end =
            hole < 0 ? into.size()
                     : std::min<std::uint64_t>(into.size(), static_cast<std::uint64_t>(hole));
        if (start >= end) {
            return;
        }
        read(start, into.subspan(start, end - start));
        at = end;
    }
}

void ImageFile::fail(const std::string& problem) const {
    throw BootError(name_ + " " + problem);
}

}  // namespace shoal::boot
