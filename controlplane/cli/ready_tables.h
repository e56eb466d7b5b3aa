// ReadyTables: page tables that shoal-vmm fills before a microVM starts, so that the unikernel has
// none to fill for the libraries that it maps: on a KVM backend without hardware virtualization
// that is most of a large program's start.
//
// A file starts at a random page of a table of its own, which is the lower part of its random
// address. Pages that its program will write have a second place in the archive. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/cli/cpio_writer.h"

namespace shoal::cli {

class ReadyTables {
public:
    // Borrows the archive.
    explicit ReadyTables(CpioWriter& archive) noexcept : archive_{archive} {}

    // The file at `fd` and, on the host, at `path`, whose whole pages lie at this offset of the
    // archive: there is a place there for its pages that are to be written. Nothing happens if it
    // is no position-independent ELF file of usual layout, or there is no more room (the unikernel
    // takes 256 tables).
    void add(int fd, const std::string& path, std::uint64_t offset, std::uint64_t size_bytes);

    // Lines for shoal-vmm's --initrd-map.
    [[nodiscard]] const std::string& lines() const noexcept { return lines_; }

private:
    CpioWriter& archive_;
    std::uint64_t tables_ = 0;
    std::uint64_t copied_bytes_ = 0;
    std::string lines_;
};

}  // namespace shoal::cli
