// ArchiveBuilder: cpio archives for tests, right and wrong ones.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace shoal::guest::fake {

struct Header {
    std::string magic = "070701";
    std::uint32_t inode = 1;
    std::uint32_t mode = 0100644;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t link_count = 1;
    std::uint32_t mtime_s = 0;
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    std::uint32_t checksum = 0;
    std::uint32_t name_padding = 0;  // NULs behind the one that ends the name
};

class ArchiveBuilder {
public:
    ArchiveBuilder& add(const Header& header, std::string_view name, std::string_view data = "") {
        return add_raw(header, static_cast<std::uint32_t>(name.size() + 1 + header.name_padding),
                       static_cast<std::uint32_t>(data.size()),
                       std::string{name} + std::string(1 + header.name_padding, '\0'), data);
    }
    ArchiveBuilder& add_directory(std::string_view name) {
        return add({.mode = 040755, .link_count = 2}, name);
    }
    // Any sizes in the header, whatever follows it.
    ArchiveBuilder& add_raw(const Header& header, std::uint32_t name_size, std::uint32_t data_size,
                            std::string_view name, std::string_view data) {
        char fields[128];
        std::snprintf(fields, sizeof fields,
                      "%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
                      header.magic.c_str(), header.inode, header.mode, header.uid, header.gid,
                      header.link_count, header.mtime_s, data_size, 0U, 8U, header.device_major,
                      header.device_minor, name_size, header.checksum);
        bytes_ += fields;
        bytes_ += name;
        align();
        bytes_ += data;
        align();
        return *this;
    }
    ArchiveBuilder& end() { return add({.inode = 0, .mode = 0}, "TRAILER!!!"); }
    ArchiveBuilder& zeros(std::size_t count) {
        bytes_.append(count, '\0');
        return *this;
    }

    [[nodiscard]] const std::string& text() const { return bytes_; }
    // As long as this object is not changed.
    [[nodiscard]] std::span<const std::byte> bytes() const {
        return std::as_bytes(std::span{bytes_});
    }

private:
    void align() { bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0'); }

    std::string bytes_;
};

}  // namespace shoal::guest::fake
