// VsockFile: /dev/vsock, which tells the machine's address in AF_VSOCK by ioctl(2) and does nothing
// else.
#pragma once

#include "guest/kernel/fs/inode.h"

namespace shoal::guest {

class VsockFile final : public Inode {
public:
    explicit VsockFile(std::uint32_t permissions) noexcept
        : Inode{FileType::character_device, permissions} {}
    [[nodiscard]] bool is_vsock() const noexcept override { return true; }
};

}  // namespace shoal::guest
