// NetlinkWriter: messages of netlink, one behind the other: a header of 16 bytes, a fixed part,
// attributes padded to 4 bytes (netlink(7)).
#pragma once

#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace shoal::guest {

// The value as an attribute has it.
template <typename T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span{&value, 1});
}

// One datagram, to which messages are added.
class NetlinkWriter {
public:
    NetlinkWriter(const nlmsghdr& request, std::uint32_t port) : request_{request}, port_{port} {}

    template <typename T>
    void begin(std::uint16_t type, std::uint16_t flags, const T& fixed) {
        start_ = bytes_.size();
        const nlmsghdr header{0, type, flags, request_.nlmsg_seq, port_};
        append(bytes_of(header));
        append(bytes_of(fixed));
        end();
    }
    void add(std::uint16_t type, std::span<const std::byte> value) {
        const rtattr attribute{static_cast<std::uint16_t>(sizeof(rtattr) + value.size()), type};
        append(bytes_of(attribute));
        append(value);
        end();
    }
    void add(std::uint16_t type, const std::string& text) {
        add(type, std::as_bytes(std::span{text.c_str(), text.size() + 1}));
    }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

private:
    void append(std::span<const std::byte> bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    // The message has got longer.
    void end() {
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
        const auto size = static_cast<std::uint32_t>(bytes_.size() - start_);
        std::memcpy(bytes_.data() + start_, &size, sizeof size);
    }

    nlmsghdr request_;
    std::uint32_t port_;
    std::vector<std::byte> bytes_;
    std::size_t start_ = 0;
};

}  // namespace shoal::guest
