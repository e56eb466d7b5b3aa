// What the loaders' fuzz targets share: the input as a file, and a small guest to load it into.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"

namespace shoal::fuzz {

// One memfd for all inputs: making one for each would be most of the time.
class InputFile {
public:
    void set(const std::uint8_t* data, std::size_t size) {
        host::check_os(::ftruncate(fd_.get(), 0), "ftruncate");
        host::check_os(::pwrite(fd_.get(), data, size, 0), "pwrite");
    }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

private:
    host::UniqueFd fd_{host::check_os(::memfd_create("input", MFD_CLOEXEC), "memfd_create")};
};

inline const machine::GuestMemory& guest_memory() {
    static const machine::GuestMemory memory{4 << 20};
    return memory;
}

}  // namespace shoal::fuzz
