// ReadyTables: page tables that shoal-vmm fills before a microVM starts, so that the unikernel has
// none to fill for the libraries that it maps: on a KVM backend without hardware virtualization
// that is most of a large program's start.
//
// A file starts at a random page of a table of its own, which is the lower part of its random
// address. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::cli {

class ReadyTables {
public:
    // The file at `fd`, whose whole pages lie at this offset of the archive: lines for
    // shoal-vmm's --initrd-map, or none if it is no position-independent ELF file of usual layout,
    // or there is no more room (the unikernel takes 256 tables).
    [[nodiscard]] std::string lines_for(int fd, std::uint64_t offset, std::uint64_t pages);

private:
    std::uint64_t tables_ = 0;
};

}  // namespace shoal::cli
