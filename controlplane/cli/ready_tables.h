// ReadyTables: page tables that shoal-vmm fills before a microVM starts, so that the unikernel has
// none to fill for the libraries that it maps: on a KVM backend without hardware virtualization
// that is most of a large program's start.
//
// A file starts at a random page of a table of its own, which is the lower part of its random
// address. Pages that its program will write are in the archive a second time. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace shoal::cli {

class ReadyTables {
public:
    // The file at `fd`, whose whole pages lie at this offset of the archive. Nothing happens if it
    // is no position-independent ELF file of usual layout, or there is no more room (the unikernel
    // takes 256 tables).
    void add(int fd, std::uint64_t offset, std::uint64_t pages);

    // The pages to be written, which belong into the archive at a whole page.
    [[nodiscard]] std::span<const std::byte> copies() const {
        return std::as_bytes(std::span{copies_});
    }
    // Lines for shoal-vmm's --initrd-map, once the copies lie at this offset.
    [[nodiscard]] std::string lines(std::uint64_t copies_offset) const;

private:
    struct Run {
        std::uint64_t page = 0;  // counted from the first table's first entry
        std::uint64_t offset = 0;
        std::uint64_t count = 0;
        std::string rights;
        bool is_copy = false;  // the offset is one in the copies
    };

    bool copy(int fd, std::uint64_t file_page, std::uint64_t count);

    std::uint64_t tables_ = 0;
    std::vector<Run> runs_;
    std::string copies_;
};

}  // namespace shoal::cli
