// ImageFile: a kernel or initrd, read piece by piece. Opened once, so that what was checked is what
// is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "devices/host/unique_fd.h"
#include "vmm/boot/boot.h"

namespace shoal::boot {

class ImageFile {
public:
    // Throws BootError when the file is missing, is not a regular file or is empty. `what` names
    // its part: "kernel", "initrd".
    ImageFile(std::string what, const std::string& path);

    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
    // Reads exactly into.size() bytes. Throws BootError when the file ends before.
    void read(std::uint64_t offset, std::span<std::byte> into) const;

    // All of it, into memory that holds zeros: holes of a sparse file are not touched.
    void read_sparse(std::span<std::byte> into) const;

    template <machine::GuestLayout T>
    [[nodiscard]] T read(std::uint64_t offset) const {
        T value;
        read(offset, std::as_writable_bytes(std::span{&value, 1}));
        return value;
    }

    // Throws BootError: "<what> <path>: <problem>".
    [[noreturn]] void fail(const std::string& problem) const;

private:
    std::string name_;
    host::UniqueFd fd_;
    std::uint64_t size_bytes_ = 0;
};

}  // namespace shoal::boot
