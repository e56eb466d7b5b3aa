// Fuzzes requests of programs to NETLINK_ROUTE: every answer is a sequence of whole messages.
#include <linux/netlink.h>

#include <cstring>

#include "guest/kernel/net/netlink_answers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal::guest;
    static const std::vector<NetInterface> interfaces{
        {1, "lo", true, true, 65536, {}, {{2, 8, {std::byte{127}}, false}}},
        {2,
         "eth0",
         false,
         true,
         1500,
         {},
         {{10, 64, {std::byte{0xFE}}, true}},
         {{2, 0, {std::byte{10}}, false}}}};
    for (const auto& answer : answer_netlink(std::as_bytes(std::span{data, size}), interfaces, 1)) {
        std::size_t at = 0;
        while (at < answer.size()) {
            nlmsghdr header{};
            if (answer.size() - at < sizeof header) {
                __builtin_trap();
            }
            std::memcpy(&header, answer.data() + at, sizeof header);
            if (header.nlmsg_len < sizeof header || header.nlmsg_len > answer.size() - at) {
                __builtin_trap();
            }
            at += NLMSG_ALIGN(header.nlmsg_len);
        }
    }
    return 0;
}
