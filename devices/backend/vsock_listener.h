// VsockListener: the unix socket at which host programs ask for a connection to the guest.
#pragma once

#include <sys/types.h>

#include <string>
#include <system_error>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

struct AcceptedSocket {
    host::UniqueFd socket;                                        // does not block
    std::errc error = std::errc::resource_unavailable_try_again;  // when there is no socket
};

class VsockListener {
public:
    // Creates the socket; its mode is the umask's. Throws std::invalid_argument when the path is
    // empty or too long, std::system_error when it cannot be bound: it is in use, for example.
    explicit VsockListener(std::string path);
    // Removes the path, if it still leads to this socket.
    ~VsockListener();
    VsockListener(const VsockListener&) = delete;
    VsockListener& operator=(const VsockListener&) = delete;

    // resource_unavailable_try_again: now nobody is there.
    [[nodiscard]] AcceptedSocket accept() const noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    // False: it was removed, or taken by somebody else.
    [[nodiscard]] bool is_at_its_path() const noexcept;

private:
    std::string path_;
    host::UniqueFd fd_;
    // Of the path, to know it again.
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace shoal::backend
