// Reads a newc archive back, for the tests of what writes one.
#pragma once

#include <unistd.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace shoal::cli {

struct CpioEntry {
    std::string name;
    std::array<std::uint32_t, 13> fields{};  // as in the header: inode, mode, uid, gid, ...
    std::string data;
    std::size_t data_at = 0;

    [[nodiscard]] std::uint32_t mode() const { return fields[1]; }
};

inline std::string read_whole(int fd) {
    std::string bytes(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)), '\0');
    if (::pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw std::runtime_error("short read");
    }
    return bytes;
}

inline std::vector<CpioEntry> read_cpio(const std::string& bytes) {
    std::vector<CpioEntry> entries;
    for (std::size_t at = 0; at < bytes.size();) {
        if (bytes.compare(at, 6, "070701") != 0) {
            throw std::runtime_error("no header at " + std::to_string(at));
        }
        CpioEntry entry;
        for (std::size_t idx = 0; idx < entry.fields.size(); ++idx) {
            entry.fields[idx] = static_cast<std::uint32_t>(
                std::stoul(bytes.substr(at + 6 + 8 * idx, 8), nullptr, 16));
        }
        entry.name = bytes.substr(at + 110, entry.fields[11]).c_str();
        entry.data_at = (at + 110 + entry.fields[11] + 3) / 4 * 4;
        entry.data = bytes.substr(entry.data_at, entry.fields[6]);
        at = (entry.data_at + entry.fields[6] + 3) / 4 * 4;
        if (entry.name == "TRAILER!!!") {
            return entries;
        }
        entries.push_back(entry);
    }
    throw std::runtime_error("no trailer");
}

}  // namespace shoal::cli
