// What programs are told of interfaces and addresses, and what requests get nothing.
#include "guest/kernel/net/netlink_answers.h"

#include <doctest/doctest.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "guest/kernel/errno.h"

namespace shoal::guest {
namespace {

constexpr std::uint32_t port = 77;

std::vector<NetInterface> two_interfaces() {
    NetAddress home{2, 8, {std::byte{127}, {}, {}, std::byte{1}}, false};
    NetAddress v4{2, 24, {std::byte{10}, std::byte{88}, {}, std::byte{2}}, false};
    NetAddress v6{10, 64, {std::byte{0xFE}, std::byte{0x80}}, true};
    NetAddress gateway{2, 0, {std::byte{10}, std::byte{88}, {}, std::byte{1}}, false};
    return {{1, "lo", true, true, 65536, {}, {home}},
            {2, "eth0", false, true, 1500, {std::byte{2}}, {v4, v6}, {gateway}}};
}

struct Request {
    nlmsghdr header{sizeof(Request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 5, 0};
    ifinfomsg body{};
};

struct NamedRequest {
    nlmsghdr header{sizeof(NamedRequest), RTM_GETLINK, NLM_F_REQUEST, 5, 0};
    ifinfomsg body{};
    rtattr attribute{sizeof(rtattr) + 5, IFLA_IFNAME};
    char name[8] = "eth0";
};

template <typename T>
std::vector<std::vector<std::byte>> ask(const T& request) {
    return answer_netlink(std::as_bytes(std::span{&request, 1}), two_interfaces(), port);
}

// The messages of a datagram, checked as a program walks through them.
std::vector<std::span<const std::byte>> messages(const std::vector<std::byte>& datagram) {
    std::vector<std::span<const std::byte>> all;
    std::span<const std::byte> rest{datagram};
    while (!rest.empty()) {
        nlmsghdr header;
        REQUIRE(rest.size() >= sizeof header);
        std::memcpy(&header, rest.data(), sizeof header);
        REQUIRE(header.nlmsg_len >= sizeof header);
        REQUIRE(header.nlmsg_len <= rest.size());
        CHECK(header.nlmsg_seq == 5);
        CHECK(header.nlmsg_pid == port);
        all.push_back(rest.first(header.nlmsg_len));
        rest = rest.subspan(NLMSG_ALIGN(header.nlmsg_len));
    }
    return all;
}

template <typename T>
T at(std::span<const std::byte> message, std::size_t offset) {
    T value;
    REQUIRE(message.size() >= offset + sizeof value);
    std::memcpy(&value, message.data() + offset, sizeof value);
    return value;
}

// The value of an attribute behind a fixed part of this size; empty: it is not there.
std::span<const std::byte> attribute(std::span<const std::byte> message, std::size_t fixed,
                                     unsigned type) {
    for (auto rest = message.subspan(NLMSG_ALIGN(sizeof(nlmsghdr) + fixed)); !rest.empty();) {
        const auto header = at<rtattr>(rest, 0);
        REQUIRE(header.rta_len >= sizeof header);
        REQUIRE(header.rta_len <= rest.size());
        if (header.rta_type == type) {
            return rest.subspan(sizeof header, header.rta_len - sizeof header);
        }
        rest = rest.subspan(std::min<std::size_t>(RTA_ALIGN(header.rta_len), rest.size()));
    }
    return {};
}

int error_of(const std::vector<std::vector<std::byte>>& answers) {
    REQUIRE(answers.size() == 1);
    const auto all = messages(answers[0]);
    CHECK(at<nlmsghdr>(all.at(0), 0).nlmsg_type == NLMSG_ERROR);
    return at<int>(all.at(0), sizeof(nlmsghdr));
}

TEST_CASE("all links are told, and that these were all") {
    const auto answers = ask(Request{});
    REQUIRE(answers.size() == 2);
    const auto links = messages(answers[0]);
    REQUIRE(links.size() == 2);
    CHECK(at<nlmsghdr>(links[1], 0).nlmsg_type == RTM_NEWLINK);
    CHECK(at<ifinfomsg>(links[1], sizeof(nlmsghdr)).ifi_index == 2);
    const auto name = attribute(links[1], sizeof(ifinfomsg), IFLA_IFNAME);
    REQUIRE(name.size() == 5);
    CHECK(std::memcmp(name.data(), "eth0", 5) == 0);
    CHECK(at<std::uint32_t>(attribute(links[0], sizeof(ifinfomsg), IFLA_MTU), 0) == 65536);
    CHECK(at<nlmsghdr>(messages(answers[1]).at(0), 0).nlmsg_type == NLMSG_DONE);
}

TEST_CASE("addresses are told, of one family if it is asked for") {
    Request request;
    request.header.nlmsg_type = RTM_GETADDR;
    SUBCASE("all") {
        CHECK(messages(ask(request).at(0)).size() == 3);
    }
    SUBCASE("IPv6") {
        request.body.ifi_family = 10;
        const auto answers = ask(request);
        const auto all = messages(answers.at(0));
        REQUIRE(all.size() == 1);
        CHECK(at<ifaddrmsg>(all[0], sizeof(nlmsghdr)).ifa_scope == RT_SCOPE_LINK);
        CHECK(attribute(all[0], sizeof(ifaddrmsg), IFA_ADDRESS).size() == 16);
        CHECK(attribute(all[0], sizeof(ifaddrmsg), IFA_LOCAL).empty());
    }
    SUBCASE("IPv4") {
        request.body.ifi_family = 2;
        const auto answers = ask(request);
        const auto all = messages(answers.at(0));
        REQUIRE(all.size() == 2);
        CHECK(at<ifaddrmsg>(all[1], sizeof(nlmsghdr)).ifa_prefixlen == 24);
        CHECK(at<std::uint32_t>(attribute(all[1], sizeof(ifaddrmsg), IFA_LOCAL), 0) == 0x0200580A);
    }
    SUBCASE("a family without any") {
        request.body.ifi_family = 3;
        const auto answers = ask(request);
        REQUIRE(answers.size() == 1);
        CHECK(at<nlmsghdr>(messages(answers[0]).at(0), 0).nlmsg_type == NLMSG_DONE);
    }
}

TEST_CASE("routes are told: the gateway's, and one for each network") {
    Request request;
    request.header.nlmsg_type = RTM_GETROUTE;
    SUBCASE("IPv4") {
        request.body.ifi_family = 2;
        const auto answers = ask(request);
        const auto all = messages(answers.at(0));
        REQUIRE(all.size() == 2);
        CHECK(at<nlmsghdr>(all[0], 0).nlmsg_type == RTM_NEWROUTE);
        CHECK(at<rtmsg>(all[0], sizeof(nlmsghdr)).rtm_dst_len == 0);
        CHECK(at<std::uint32_t>(attribute(all[0], sizeof(rtmsg), RTA_GATEWAY), 0) == 0x0100580A);
        CHECK(attribute(all[0], sizeof(rtmsg), RTA_DST).empty());
        CHECK(at<rtmsg>(all[1], sizeof(nlmsghdr)).rtm_dst_len == 24);
        CHECK(at<rtmsg>(all[1], sizeof(nlmsghdr)).rtm_scope == RT_SCOPE_LINK);
        CHECK(at<std::uint32_t>(attribute(all[1], sizeof(rtmsg), RTA_DST), 0) == 0x0000580A);
        CHECK(at<std::uint32_t>(attribute(all[1], sizeof(rtmsg), RTA_PREFSRC), 0) == 0x0200580A);
        CHECK(at<std::uint32_t>(attribute(all[1], sizeof(rtmsg), RTA_OIF), 0) == 2);
        CHECK(at<nlmsghdr>(messages(answers.at(1)).at(0), 0).nlmsg_type == NLMSG_DONE);
    }
    SUBCASE("IPv6") {
        request.body.ifi_family = 10;
        const auto answers = ask(request);
        const auto all = messages(answers.at(0));
        REQUIRE(all.size() == 1);
        CHECK(at<rtmsg>(all[0], sizeof(nlmsghdr)).rtm_dst_len == 64);
        const auto network = attribute(all[0], sizeof(rtmsg), RTA_DST);
        CHECK(network.size() == 16);
        CHECK(at<std::uint16_t>(network, 0) == 0x80FE);
        CHECK(attribute(all[0], sizeof(rtmsg), RTA_PREFSRC).empty());
    }
    SUBCASE("both") {
        CHECK(messages(ask(request).at(0)).size() == 3);
    }
    SUBCASE("the way to one address is not looked up") {
        request.header.nlmsg_flags = NLM_F_REQUEST;
        CHECK(error_of(ask(request)) == -static_cast<int>(Errno::opnotsupp));
    }
}

TEST_CASE("one link is told by its index or its name") {
    Request request;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.body.ifi_index = 1;
    CHECK(at<ifinfomsg>(messages(ask(request).at(0)).at(0), sizeof(nlmsghdr)).ifi_index == 1);
    NamedRequest named;
    CHECK(at<ifinfomsg>(messages(ask(named).at(0)).at(0), sizeof(nlmsghdr)).ifi_index == 2);
    request.body.ifi_index = 3;
    CHECK(error_of(ask(request)) == -static_cast<int>(Errno::nodev));
    named.attribute.rta_len = 200;  // beyond the message
    CHECK(error_of(ask(named)) == -static_cast<int>(Errno::nodev));
}

TEST_CASE("what is not known is refused by name") {
    Request request;
    request.header.nlmsg_type = RTM_NEWLINK;
    CHECK(error_of(ask(request)) == -static_cast<int>(Errno::opnotsupp));
}

TEST_CASE("requests that are cut off, or none, get no answer") {
    const Request request;
    for (std::size_t size = 0; size < sizeof request; ++size) {
        CHECK(answer_netlink(std::as_bytes(std::span{&request, 1}).first(size), two_interfaces(),
                             port)
                  .empty());
    }
    Request other;
    other.header.nlmsg_flags = NLM_F_DUMP;
    CHECK(ask(other).empty());
    other.header.nlmsg_flags = NLM_F_REQUEST;
    other.header.nlmsg_type = NLMSG_NOOP;
    CHECK(ask(other).empty());
    Request shorter;
    shorter.header.nlmsg_len = 3;
    CHECK(ask(shorter).empty());
}

TEST_CASE("a request without a body is answered") {
    Request request;
    request.header.nlmsg_len = sizeof request.header;
    CHECK(ask(request).size() == 2);
}

}  // namespace
}  // namespace shoal::guest
