// CpioReader: fields, names and data, each checked against what is left of the archive.
#include "guest/kernel/fs/cpio.h"

#include <array>

namespace shoal::guest {
namespace {

constexpr std::uint64_t header_size = 110;
constexpr std::uint64_t magic_size = 6;
constexpr std::uint64_t field_size = 8;
constexpr std::uint64_t alignment = 4;
constexpr std::uint64_t name_size_limit = 4096;  // as Linux: PATH_MAX, with the NUL

std::optional<std::uint32_t> parse_field(std::string_view digits) noexcept {
    std::uint32_t value = 0;
    for (const char c : digits) {
        std::uint32_t digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<std::uint32_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<std::uint32_t>(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<std::uint32_t>(c - 'A' + 10);
        } else {
            return std::nullopt;
        }
        value = value << 4 | digit;
    }
    return value;
}

std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    // SAFETY: bytes seen as chars.
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Sizes {
    std::uint32_t data = 0;
    std::uint32_t name = 0;
    std::uint32_t checksum = 0;
};

std::uint32_t sum_of(std::span<const std::byte> bytes) noexcept {
    std::uint32_t sum = 0;
    for (const std::byte b : bytes) {
        sum += std::to_integer<std::uint32_t>(b);
    }
    return sum;
}

// The fields in the order of the format.
std::optional<Sizes> parse_header(std::string_view header, CpioMember& member) noexcept {
    Sizes sizes;
    const std::array<std::uint32_t*, 13> fields = {
        &member.inode,        &member.mode, &member.uid,     &member.gid,   &member.link_count,
        &member.mtime_s,      &sizes.data,  &member.major,   &member.minor, &member.device_major,
        &member.device_minor, &sizes.name,  &sizes.checksum,
    };
    std::uint64_t at = magic_size;
    for (std::uint32_t* field : fields) {
        const auto value = parse_field(header.substr(at, field_size));
        if (!value) {
            return std::nullopt;
        }
        *field = *value;
        at += field_size;
    }
    return sizes;
}

}  // namespace

std::optional<std::span<const std::byte>> CpioReader::take(std::uint64_t count) noexcept {
    if (count > archive_.size() - position_) {
        return std::nullopt;
    }
    const auto taken = archive_.subspan(position_, count);
    position_ += count;
    return taken;
}

// The archive's very end needs no padding.
void CpioReader::align() noexcept {
    while (position_ % alignment != 0 && position_ < archive_.size()) {
        ++position_;
    }
}

void CpioReader::skip_zeros() noexcept {
    while (position_ < archive_.size() && archive_[position_] == std::byte{0}) {
        ++position_;
    }
}

std::expected<std::optional<CpioMember>, ArchiveError> CpioReader::next() noexcept {
    skip_zeros();
    CpioMember member{.offset = position_};
    const auto error = [&](const char* reason) {
        return std::unexpected(ArchiveError{reason, member.offset});
    };
    if (position_ == archive_.size()) {
        return std::nullopt;
    }
    if (position_ % alignment != 0) {
        return error("a header is not aligned to 4 bytes");
    }
    const auto header = take(header_size);
    if (!header) {
        return error("a header is cut short");
    }
    const std::string_view text = as_text(*header);
    if (!text.starts_with("070701") && !text.starts_with("070702")) {
        return error("no cpio header in the newc format");
    }
    const auto sizes = parse_header(text, member);
    if (!sizes) {
        return error("a header has a field that is not hexadecimal");
    }
    if (sizes->name == 0 || sizes->name > name_size_limit) {
        return error("a name is empty or longer than 4095 bytes");
    }
    const auto name = take(sizes->name);
    if (!name) {
        return error("a name reaches beyond the end");
    }
    member.name = as_text(*name);
    const std::size_t length = member.name.find('\0');
    if (length == std::string_view::npos || length == 0) {
        return error("a name is empty or does not end");
    }
    member.name = member.name.substr(0, length);
    align();
    const auto data = take(sizes->data);
    if (!data) {
        return error("a file's data reaches beyond the end");
    }
    member.data = *data;
    if (text.starts_with("070702") && sum_of(*data) != sizes->checksum) {
        return error("a file's checksum is wrong");
    }
    align();
    return member;
}

}  // namespace shoal::guest
