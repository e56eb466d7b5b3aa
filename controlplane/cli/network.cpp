// KEY=VALUE words between commas, and Linux's ip= (admin-guide/nfs/nfsroot).
#include "controlplane/cli/network.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <array>
#include <charconv>
#include <map>
#include <optional>

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

}  // namespace

NetworkOption parse_network(const std::string& text) {
    NetworkOption network;
    const std::map<std::string, std::string*> fields{
        {"tap", &network.tap},         {"mac", &network.mac}, {"ip", &network.ip},
        {"gateway", &network.gateway}, {"ip6", &network.ip6}, {"gateway6", &network.ip6_gateway}};
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string word = text.substr(at, end - at);
        const std::size_t equals = std::min(word.find('='), word.size());
        const auto field = fields.find(word.substr(0, equals));
        if (field == fields.end() || equals + 1 >= word.size()) {
            refuse(word, "is none of tap=, ip=, gateway=, ip6=, gateway6=, mac= with a value");
        }
        *field->second = word.substr(equals + 1);
        at = end + 1;
    }
    check(network);
    return network;
}

std::string network_words(const NetworkOption& network) {
    std::string words = " ip=dhcp";
    if (const auto bits = prefix_bits(network.ip, 32)) {
        words = " ip=" + network.ip.substr(0, network.ip.find('/')) + "::" + network.gateway + ":" +
                netmask(*bits) + ":::off";
    }
    if (!network.ip6.empty()) {
        words += " shoal.ip6=" + network.ip6;
        words += network.ip6_gateway.empty() ? "" : "," + network.ip6_gateway;
    }
    return words;
}

}  // namespace shoal::cli
