// CpioWriter: writes an initramfs in the cpio "newc" format (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst) to a file descriptor.
//
// The data of a file of a page or more starts at a multiple of the page size, so that the guest
// can map it where it lies: the name in front of it is padded with NULs, which readers ignore.
// Not thread-safe.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shoal::cli {

// What an archive says about a file besides its bytes. Times before 1970 or after 2106 are cut.
struct CpioMetadata {
    std::uint32_t mode = 0;  // type and permission bits, as st_mode
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t link_count = 1;
    std::uint32_t mtime_s = 0;

    static CpioMetadata from(const struct stat& status) noexcept;
};

class CpioWriter {
public:
    // Borrows `fd`, which is at its start and is written in sequence. An archive that would grow
    // beyond `limit_bytes` is refused. All calls throw CliError or std::system_error.
    CpioWriter(int fd, std::uint64_t limit_bytes) noexcept : fd_{fd}, limit_bytes_{limit_bytes} {}

    // `path` is relative to the root of the file system, without a leading slash; "." is the root.
    void add_directory(std::string_view path, const CpioMetadata& metadata);
    void add_symlink(std::string_view path, const CpioMetadata& metadata, std::string_view target);
    void add_file(std::string_view path, const CpioMetadata& metadata,
                  std::span<const std::byte> contents);
    // The first `size_bytes` of `source`, copied inside the host kernel.
    void add_file(std::string_view path, const CpioMetadata& metadata, int source,
                  std::uint64_t size_bytes);

    // As above, but leaves a hole for the file's whole pages, which somebody else puts there: all
    // bytes after them are copied. Returns where the hole starts, a multiple of the page size.
    // Empty when the hole would not start there; then the file was copied.
    std::optional<std::uint64_t> add_file_with_hole(std::string_view path,
                                                    const CpioMetadata& metadata, int source,
                                                    std::uint64_t size_bytes);

    // A file of so many zeros, which somebody else replaces. Returns where they start in the
    // archive, a multiple of the page size if the path is short.
    std::uint64_t add_hole(std::string_view path, const CpioMetadata& metadata,
                           std::uint64_t size_bytes);

    // Ends the archive and gives its size. Call it once, last.
    std::uint64_t finish();

    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return written_ + buffer_.size(); }

private:
    void put_header(std::string_view path, const CpioMetadata& metadata, std::uint64_t size_bytes);
    void put(std::string_view bytes);
    void pad_to(std::uint64_t alignment);
    void reserve(std::string_view path, std::uint64_t more_bytes) const;
    void flush();
    void copy_from(std::string_view path, int source, off_t from, std::uint64_t size_bytes);

    int fd_;
    std::uint64_t limit_bytes_;
    std::uint64_t written_ = 0;
    std::string buffer_;  // not written yet: headers and small files, so that each is no call
    std::uint32_t inode_ = 0;
};

}  // namespace shoal::cli
