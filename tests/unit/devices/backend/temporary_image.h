// TemporaryImage: a disk image file for tests, deleted with its object.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

class TemporaryImage {
public:
    explicit TemporaryImage(std::uint64_t size_bytes, const std::string& folder = "/tmp")
        : path_{folder + "/shoal-disk-XXXXXX"}, fd_{::mkostemp(path_.data(), O_CLOEXEC)} {
        REQUIRE(fd_);
        resize(size_bytes);
    }
    TemporaryImage(const TemporaryImage&) = delete;
    TemporaryImage& operator=(const TemporaryImage&) = delete;
    ~TemporaryImage() { ::unlink(path_.c_str()); }

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] int fd() const { return fd_.get(); }
    void resize(std::uint64_t size_bytes) const {
        REQUIRE(::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) == 0);
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) const {
        REQUIRE(::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
                static_cast<ssize_t>(bytes.size()));
    }
    void fill(std::uint64_t offset, std::uint64_t size_bytes, std::byte value) const {
        write(offset, std::vector<std::byte>(size_bytes, value));
    }
    [[nodiscard]] std::vector<std::byte> read(std::uint64_t offset,
                                              std::uint64_t size_bytes) const {
        std::vector<std::byte> bytes(size_bytes);
        REQUIRE(::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
                static_cast<ssize_t>(bytes.size()));
        return bytes;
    }
    [[nodiscard]] std::byte byte_at(std::uint64_t offset) const { return read(offset, 1).front(); }
    // What it takes on the disk.
    [[nodiscard]] std::uint64_t allocated_bytes() const {
        struct stat file {};
        REQUIRE(::fsync(fd_.get()) == 0);
        REQUIRE(::fstat(fd_.get(), &file) == 0);
        return static_cast<std::uint64_t>(file.st_blocks) * 512;
    }

private:
    std::string path_;
    host::UniqueFd fd_;
};

}  // namespace shoal::backend
