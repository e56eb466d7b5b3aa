// UnixPackets: what waits in a unix socket for its reader: bytes, files that came with them, and
// from whom.
#pragma once

#include <memory>
#include <vector>

#include "guest/kernel/fs/open_file.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/net/unix_address.h"

namespace shoal::guest {

struct UnixPacket {
    std::unique_ptr<std::byte[]> bytes{};
    std::size_t size = 0;
    std::size_t taken = 0;  // of a stream, from the front
    std::vector<OpenFileRef> files{};
    UnixAddress from{};
    Credentials sender{};
    std::unique_ptr<UnixPacket> next{};

    [[nodiscard]] std::span<const std::byte> rest() const noexcept {
        return {bytes.get() + taken, size - taken};
    }
};

class UnixPackets {
public:
    UnixPackets() = default;
    ~UnixPackets() { clear(); }
    UnixPackets(const UnixPackets&) = delete;
    UnixPackets& operator=(const UnixPackets&) = delete;

    [[nodiscard]] bool empty() const noexcept { return !first_; }
    [[nodiscard]] const UnixPacket* first() const noexcept { return first_.get(); }
    // What they take of their receiver's buffer, and how many bytes are in them.
    [[nodiscard]] std::size_t charge() const noexcept { return charge_; }
    [[nodiscard]] std::size_t byte_count() const noexcept { return byte_count_; }

    void push_back(std::unique_ptr<UnixPacket> packet) noexcept;
    void push_front(std::unique_ptr<UnixPacket> packet) noexcept;
    // There must be one.
    [[nodiscard]] std::unique_ptr<UnixPacket> pop() noexcept;
    void clear() noexcept;

private:
    void account(const UnixPacket& packet, std::size_t sign) noexcept;

    std::unique_ptr<UnixPacket> first_;
    UnixPacket* last_ = nullptr;
    std::size_t charge_ = 0;
    std::size_t byte_count_ = 0;
};

}  // namespace shoal::guest
