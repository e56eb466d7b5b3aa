// CpioWriter: headers, names padded to pages, and file data that never passes through user space.
#include "controlplane/cli/cpio_writer.h"

#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "controlplane/cli/cli_error.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t header_size = 110;
constexpr std::uint64_t field_alignment = 4;
constexpr std::uint64_t name_size_max = 4096;        // Linux skips entries with a longer name
constexpr std::uint64_t file_size_max = 0xFFFFFFFF;  // eight hexadecimal digits
constexpr std::size_t buffer_size = 65536;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) noexcept {
    return (value + alignment - 1) / alignment * alignment;
}

// With the NUL, and with more NULs where the data after it shall start on a page.
std::uint64_t padded_name_size(std::uint64_t header_at, std::string_view path,
                               std::uint64_t file_size) noexcept {
    const std::uint64_t shortest = path.size() + 1;
    if (file_size < page_size) {
        return shortest;
    }
    const std::uint64_t name_at = header_at + header_size;
    const std::uint64_t aligned = round_up(name_at + shortest, page_size) - name_at;
    return aligned <= name_size_max ? aligned : shortest;
}

void check_size(std::string_view path, std::uint64_t size_bytes) {
    if (size_bytes > file_size_max) {
        throw CliError("file /" + std::string{path} + " has " + std::to_string(size_bytes) +
                       " bytes: an initramfs holds files of up to 4294967295");
    }
}

}  // namespace

CpioMetadata CpioMetadata::from(const struct stat& status) noexcept {
    const auto mtime = std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0,
                                                std::numeric_limits<std::uint32_t>::max());
    return {status.st_mode, status.st_uid, status.st_gid,
            static_cast<std::uint32_t>(status.st_nlink), static_cast<std::uint32_t>(mtime)};
}

void CpioWriter::add_directory(std::string_view path, const CpioMetadata& metadata) {
    put_header(path, metadata, 0);
}

void CpioWriter::add_symlink(std::string_view path, const CpioMetadata& metadata,
                             std::string_view target) {
    put_header(path, metadata, target.size());
    put(target);
    pad_to(field_alignment);
}

void CpioWriter::add_file(std::string_view path, const CpioMetadata& metadata,
                          std::span<const std::byte> contents) {
    put_header(path, metadata, contents.size());
    // SAFETY: bytes seen as chars.
    put({reinterpret_cast<const char*>(contents.data()), contents.size()});
    pad_to(field_alignment);
}

void CpioWriter::add_file(std::string_view path, const CpioMetadata& metadata, int source,
                          std::uint64_t size_bytes) {
    check_size(path, size_bytes);
    put_header(path, metadata, size_bytes);
    copy_from(path, source, 0, size_bytes);
    pad_to(field_alignment);
}

std::optional<std::uint64_t> CpioWriter::add_file_with_hole(std::string_view path,
                                                            const CpioMetadata& metadata,
                                                            int source, std::uint64_t size_bytes) {
    check_size(path, size_bytes);
    put_header(path, metadata, size_bytes);
    flush();
    const std::uint64_t start = written_;
    const bool has_hole = start % page_size == 0;
    const std::uint64_t hole = has_hole ? size_bytes / page_size * page_size : 0;
    host::check_os(::lseek(fd_, static_cast<off_t>(hole), SEEK_CUR), "writing the initramfs");
    written_ += hole;
    copy_from(path, source, static_cast<off_t>(hole), size_bytes - hole);
    pad_to(field_alignment);
    return has_hole ? std::optional{start} : std::nullopt;
}

std::uint64_t CpioWriter::add_hole(std::string_view path, const CpioMetadata& metadata,
                                   std::uint64_t size_bytes) {
    check_size(path, size_bytes);
    put_header(path, metadata, size_bytes);
    flush();
    const std::uint64_t start = written_;
    host::check_os(::lseek(fd_, static_cast<off_t>(size_bytes), SEEK_CUR), "writing the initramfs");
    written_ += size_bytes;
    pad_to(field_alignment);
    return start;
}

std::uint64_t CpioWriter::finish() {
    put_header("TRAILER!!!", {}, 0);
    flush();
    return written_;
}

void CpioWriter::put_header(std::string_view path, const CpioMetadata& metadata,
                            std::uint64_t file_size) {
    const std::uint64_t name_size = padded_name_size(size_bytes(), path, file_size);
    if (name_size > name_size_max) {
        throw CliError("the path /" + std::string{path} + " has " + std::to_string(path.size()) +
                       " bytes: an initramfs holds paths of up to 4095");
    }
    reserve(path, header_size + name_size + file_size + 2 * field_alignment);
    ++inode_;
    std::array<char, header_size + 1> header{};
    std::snprintf(header.data(), header.size(),
                  "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode_,
                  metadata.mode, metadata.uid, metadata.gid, metadata.link_count, metadata.mtime_s,
                  static_cast<std::uint32_t>(file_size), 0U, 0U, 0U, 0U,
                  static_cast<std::uint32_t>(name_size), 0U);
    put({header.data(), header_size});
    put(path);
    buffer_.append(name_size - path.size(), '\0');
    pad_to(field_alignment);
}

void CpioWriter::put(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= buffer_size) {
        flush();
    }
}

void CpioWriter::pad_to(std::uint64_t alignment) {
    buffer_.append(round_up(size_bytes(), alignment) - size_bytes(), '\0');
}

void CpioWriter::reserve(std::string_view path, std::uint64_t more_bytes) const {
    if (size_bytes() > limit_bytes_ || more_bytes > limit_bytes_ - size_bytes()) {
        throw CliError("with /" + std::string{path} + " the files have " +
                       std::to_string(size_bytes() + more_bytes) +
                       " bytes or more: the microVM's memory has " + std::to_string(limit_bytes_));
    }
}

void CpioWriter::flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        const ssize_t count =
            host::check_os(::write(fd_, rest.data(), rest.size()), "writing the initramfs");
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    written_ += buffer_.size();
    buffer_.clear();
}

void CpioWriter::copy_from(std::string_view path, int source, off_t from,
                           std::uint64_t size_bytes) {
    flush();
    while (size_bytes > 0) {
        const ssize_t count = ::sendfile(fd_, source, &from, size_bytes);
        if (count < 0) {
            host::throw_os_error("reading /" + std::string{path});
        }
        if (count == 0) {
            throw CliError("file /" + std::string{path} + " became shorter while it was read");
        }
        size_bytes -= static_cast<std::uint64_t>(count);
        written_ += static_cast<std::uint64_t>(count);
    }
}

}  // namespace shoal::cli
