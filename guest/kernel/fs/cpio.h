// CpioReader: reads an initramfs in the cpio "newc" format, one member at a time (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst; magic 070701 and 070702).
//
// The archive is hostile: every number is checked before it is used. Names and data are borrowed.
// Several archives may follow one another, with zeros between them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

namespace shoal::guest {

struct CpioMember {
    std::uint64_t offset = 0;  // of the header, for messages
    std::string_view name{};   // as it stands, without padding
    std::span<const std::byte> data{};
    std::uint32_t inode = 0;
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t link_count = 0;
    std::uint32_t mtime_s = 0;
    std::uint32_t major = 0;  // of the file system it came from: with `inode` tells hard links
    std::uint32_t minor = 0;
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;

    // Ends one archive; the inode numbers of the next are another's.
    [[nodiscard]] bool is_trailer() const noexcept { return name == "TRAILER!!!"; }
};

struct ArchiveError {
    const char* reason = "";  // a phrase, such as "a file reaches beyond the archive's end"
    std::uint64_t offset = 0;
};

class CpioReader {
public:
    explicit CpioReader(std::span<const std::byte> archive) noexcept : archive_{archive} {}

    // The next member, trailers included; empty at the end. After an error the reader is at no
    // defined place.
    [[nodiscard]] std::expected<std::optional<CpioMember>, ArchiveError> next() noexcept;

private:
    [[nodiscard]] std::optional<std::span<const std::byte>> take(std::uint64_t count) noexcept;
    void align() noexcept;
    void skip_zeros() noexcept;

    std::span<const std::byte> archive_;
    std::uint64_t position_ = 0;
};

}  // namespace shoal::guest
