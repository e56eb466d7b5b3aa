// Fields between colons.
#include "guest/kernel/boot/ip_word.h"

#include <algorithm>

namespace shoal::guest {
namespace {

// The text before `separator`, which goes with it.
std::string_view take_field(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return field;
}

std::optional<std::uint8_t> parse_byte(std::string_view text) {
    constexpr std::size_t digits_max = 3;
    unsigned value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (text.empty() || text.size() > digits_max || value > 0xFF) {
        return std::nullopt;
    }
    return static_cast<std::uint8_t>(value);
}

// As ic_bootp_defaults() of Linux: by the address's class.
Ipv4Bytes netmask_of_class(const Ipv4Bytes& address) {
    if (address[0] < 128) {
        return {255, 0, 0, 0};
    }
    return address[0] < 192 ? Ipv4Bytes{255, 255, 0, 0} : Ipv4Bytes{255, 255, 255, 0};
}

std::optional<Ipv4Source> parse_autoconf(std::string_view word) {
    if (word == "off" || word == "none") {
        return Ipv4Source::none;
    }
    if (word == "on" || word == "any" || word == "dhcp" || word == "both") {
        return Ipv4Source::dhcp;
    }
    return std::nullopt;
}

// An empty field keeps what is there.
bool take_address(std::string_view& rest, Ipv4Bytes& address) {
    const std::string_view field = take_field(rest, ':');
    if (field.empty()) {
        return true;
    }
    const auto parsed = parse_ipv4(field);
    address = parsed.value_or(address);
    return parsed.has_value();
}

}  // namespace

std::optional<Ipv4Bytes> parse_ipv4(std::string_view text) {
    Ipv4Bytes address{};
    if (std::ranges::count(text, '.') != 3) {
        return std::nullopt;
    }
    for (std::uint8_t& byte : address) {
        const auto parsed = parse_byte(take_field(text, '.'));
        if (!parsed) {
            return std::nullopt;
        }
        byte = *parsed;
    }
    return address;
}

std::optional<IpWord> parse_ip_word(std::string_view text) {
    IpWord word;
    if (text.find(':') == std::string_view::npos && !parse_ipv4(text)) {
        const auto source = parse_autoconf(text);
        word.source = source.value_or(Ipv4Source::none);
        return source ? std::optional{word} : std::nullopt;
    }
    Ipv4Bytes server{};
    if (!take_address(text, word.address) || !take_address(text, server) ||
        !take_address(text, word.gateway) || !take_address(text, word.netmask)) {
        return std::nullopt;
    }
    word.hostname = take_field(text, ':');
    take_field(text, ':');  // the device
    const std::string_view autoconf = take_field(text, ':');
    if (!autoconf.empty() && !parse_autoconf(autoconf)) {
        return std::nullopt;
    }
    if (!take_address(text, word.dns[0]) || !take_address(text, word.dns[1])) {
        return std::nullopt;
    }
    if (word.address != Ipv4Bytes{}) {
        word.source = Ipv4Source::fixed;
        if (word.netmask == Ipv4Bytes{}) {
            word.netmask = netmask_of_class(word.address);
        }
    } else {
        word.source = parse_autoconf(autoconf).value_or(Ipv4Source::dhcp);
    }
    return word;
}

std::optional<Ip6Word> parse_ip6_word(std::string_view text) {
    Ip6Word word;
    std::string_view address = take_field(text, ',');
    word.gateway = text;
    word.address = take_field(address, '/');
    if (!address.empty()) {
        const auto bits = parse_byte(address);
        if (!bits || *bits > 128) {
            return std::nullopt;
        }
        word.prefix_bits = *bits;
    }
    return word.address.empty() ? std::nullopt : std::optional{word};
}

}  // namespace shoal::guest
