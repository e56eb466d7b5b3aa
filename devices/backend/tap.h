// Tap: a Linux TAP interface. Packets go in and out as they lie in memory, one per call, each with
// virtio-net's 12-byte header before it: the kernel reads and writes that header (and leaves its
// num_buffers alone).
//
// Non-blocking. Used by one device, under its mutex.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

class Tap {
public:
    // What a packet may ask of its reader: the kernel's TUN_F_... bits.
    using Offloads = std::uint32_t;
    static constexpr Offloads csum = 0x01;
    static constexpr Offloads tso4 = 0x02;
    static constexpr Offloads tso6 = 0x04;
    static constexpr Offloads ecn = 0x08;
    static constexpr Offloads ufo = 0x10;
    static constexpr Offloads uso4 = 0x20;  // both since Linux 6.2
    static constexpr Offloads uso6 = 0x40;

    enum class Status {
        done,
        would_block,  // epoll says when to try again
        refused,      // this packet, or for a read: something is wrong for now
        gone          // the interface has been deleted
    };
    struct Result {
        Status status = Status::would_block;
        std::size_t size_bytes = 0;  // of the packet and its header; what did not fit is lost
    };

    // Opens the TAP of this name; creates one that lasts as long as this object if there is none
    // and the caller may. Throws std::invalid_argument for what is no interface name, otherwise
    // std::system_error with one sentence that names the interface.
    static Tap open(const std::string& name);
    // The same TAP on a descriptor of its own; nothing when the interface has been deleted. Throws
    // std::system_error when the host has no descriptor left.
    [[nodiscard]] std::optional<Tap> try_share() const;
    // For tests: a socket that keeps packets apart.
    static Tap adopt(host::UniqueFd fd, Offloads supported) noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] Offloads supported_offloads() const noexcept { return supported_; }

    // What packets that are read may ask of the reader; everything else the kernel does before.
    // Packets that already wait and ask for more are dropped.
    void set_offloads(Offloads offloads) noexcept;

    [[nodiscard]] Result read(std::span<const iovec> into) const noexcept;
    [[nodiscard]] Result write(std::span<const iovec> from) const noexcept;

private:
    Tap(host::UniqueFd fd, Offloads supported) noexcept;
    void drop_waiting() const noexcept;

    host::UniqueFd fd_;
    Offloads supported_;
    Offloads offloads_ = 0;
};

}  // namespace shoal::backend
