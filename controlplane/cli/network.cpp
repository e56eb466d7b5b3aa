// KEY=VALUE words between commas, and Linux's ip= (admin-guide/nfs/nfsroot).
#include "controlplane/cli/network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/ether.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

[[noreturn]] void refuse(const std::string& word, const std::string& why) {
    throw CliError("--network: " + word + " " + why);
}

bool is_address(int family, const std::string& text) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return ::inet_pton(family, text.c_str(), bytes.data()) == 1;
}

// The number after the slash, if there is one and it is at most `most`.
std::optional<unsigned> prefix_bits(const std::string& text, unsigned most) {
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos) {
        return std::nullopt;
    }
    unsigned bits = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, bits);
    return error == std::errc{} && rest == end && bits <= most ? std::optional{bits} : std::nullopt;
}

void check_range(int family, const std::string& word, const std::string& text) {
    const unsigned most = family == AF_INET ? 32 : 128;
    if (!prefix_bits(text, most) || !is_address(family, text.substr(0, text.find('/')))) {
        refuse(word, std::string{"is not an address and its network's bits, as in "} +
                         (family == AF_INET ? "ip=10.0.0.2/24" : "ip6=fd00::2/64"));
    }
}

void check(const NetworkOption& network) {
    if (network.tap.empty() || network.tap.size() >= IFNAMSIZ) {
        throw CliError("--network needs tap=NAME, the name of a TAP interface of the host");
    }
    if (!network.ip.empty()) {
        check_range(AF_INET, "ip=" + network.ip, network.ip);
    }
    if (!network.ip6.empty()) {
        check_range(AF_INET6, "ip6=" + network.ip6, network.ip6);
    }
    if (!network.gateway.empty() && (network.ip.empty() || !is_address(AF_INET, network.gateway))) {
        refuse("gateway=" + network.gateway, "is not an IPv4 address beside ip=");
    }
    for (const std::string& server : network.dns) {
        if (!is_address(AF_INET, server)) {
            refuse("dns=" + server, "is not an IPv4 address");
        }
    }
    if (network.dns.size() > 2) {
        refuse("dns=" + network.dns[2], "is one too many: there can be two");
    }
    if (!network.ip6_gateway.empty() &&
        (network.ip6.empty() || !is_address(AF_INET6, network.ip6_gateway))) {
        refuse("gateway6=" + network.ip6_gateway, "is not an IPv6 address beside ip6=");
    }
}

std::string netmask(unsigned bits) {
    const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
    std::string text;
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        text += (text.empty() ? "" : ".") + std::to_string(mask >> shift & 0xFF);
    }
    return text;
}

// Big-endian. False when it does not fit, or one of the first `fixed_bits` changes.
bool add(std::span<unsigned char> bytes, std::uint64_t number, unsigned fixed_bits) {
    const std::vector<unsigned char> before{bytes.begin(), bytes.end()};
    for (std::size_t at = bytes.size(); at-- > 0;) {
        number += bytes[at];
        bytes[at] = static_cast<unsigned char>(number & 0xFF);
        number >>= 8;
    }
    for (unsigned bit = 0; bit < fixed_bits; ++bit) {
        if (((before[bit / 8] ^ bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return number == 0;
}

// ADDRESS/BITS, which were checked, or nothing.
std::string moved_range(int family, const std::string& text, std::uint64_t number) {
    if (text.empty()) {
        return {};
    }
    const std::size_t slash = text.find('/');
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    ::inet_pton(family, text.substr(0, slash).c_str(), bytes.data());
    const std::size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
    if (!add(std::span{bytes}.first(size), number, *prefix_bits(text, 128))) {
        refuse(text, "has no " + std::to_string(number) + " addresses behind it");
    }
    std::array<char, INET6_ADDRSTRLEN> moved{};
    ::inet_ntop(family, bytes.data(), moved.data(), moved.size());
    return moved.data() + text.substr(slash);
}

std::string to_text(const ether_addr& mac) {
    const auto& bytes = mac.ether_addr_octet;
    std::array<char, 24> text;
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                  bytes[2], bytes[3], bytes[4], bytes[5]);
    return text.data();
}

std::string moved_mac(const std::string& text, std::uint64_t number) {
    ether_addr mac{};
    constexpr unsigned vendor_bits = 24;
    if (::ether_aton_r(text.c_str(), &mac) == nullptr) {
        refuse("mac=" + text, "is no MAC address");
    }
    if (!add(mac.ether_addr_octet, number, vendor_bits)) {
        refuse("mac=" + text, "has no " + std::to_string(number) + " addresses behind it");
    }
    return to_text(mac);
}

// Locally administered, and as unique as the address is.
std::string mac_of_address(const std::string& range) {
    if (range.empty()) {
        throw CliError("--network needs mac= or ip=, so that each clone has a MAC of its own");
    }
    ether_addr mac{{0x02}};
    ::inet_pton(AF_INET, range.substr(0, range.find('/')).c_str(), mac.ether_addr_octet + 2);
    return to_text(mac);
}

}  // namespace

std::string with_id(const std::string& word, const std::string& id) {
    std::string result = word;
    for (std::size_t at = 0; (at = result.find("{}", at)) != std::string::npos; at += id.size()) {
        result.replace(at, 2, id);
    }
    return result;
}

NetworkOption parse_network(const std::string& text) {
    NetworkOption network;
    const std::map<std::string, std::string*> fields{
        {"tap", &network.tap},         {"mac", &network.mac}, {"ip", &network.ip},
        {"gateway", &network.gateway}, {"ip6", &network.ip6}, {"gateway6", &network.ip6_gateway}};
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string word = text.substr(at, end - at);
        const std::size_t equals = std::min(word.find('='), word.size());
        const std::string key = word.substr(0, equals);
        const auto field = fields.find(key);
        if ((field == fields.end() && key != "dns") || equals + 1 >= word.size()) {
            refuse(word,
                   "is none of tap=, ip=, gateway=, dns=, ip6=, gateway6=, mac= with a value");
        }
        (key == "dns" ? network.dns.emplace_back() : *field->second) = word.substr(equals + 1);
        at = end + 1;
    }
    check(network);
    return network;
}

NetworkOption network_of_copy(const NetworkOption& first, std::uint64_t number) {
    NetworkOption copy = first;
    copy.tap = with_id(first.tap, std::to_string(number));
    copy.ip = moved_range(AF_INET, first.ip, number);
    copy.ip6 = moved_range(AF_INET6, first.ip6, number);
    copy.mac = first.mac.empty() ? mac_of_address(copy.ip) : moved_mac(first.mac, number);
    return copy;
}

std::string network_words(const NetworkOption& network) {
    std::string servers;
    for (const std::string& server : network.dns) {
        servers += ":" + server;
    }
    std::string words = servers.empty() ? " ip=dhcp" : " ip=::::::dhcp" + servers;
    if (const auto bits = prefix_bits(network.ip, 32)) {
        words = " ip=" + network.ip.substr(0, network.ip.find('/')) + "::" + network.gateway + ":" +
                netmask(*bits) + ":::off" + servers;
    }
    if (!network.ip6.empty()) {
        words += " shoal.ip6=" + network.ip6;
        words += network.ip6_gateway.empty() ? "" : "," + network.ip6_gateway;
    }
    return words;
}

}  // namespace shoal::cli
