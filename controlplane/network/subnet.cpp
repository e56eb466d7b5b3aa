// Numbers between dots.
#include "controlplane/network/subnet.h"

#include <charconv>

namespace shoal::network {
namespace {

constexpr unsigned fewest_bits = 8;
constexpr unsigned most_bits = 30;  // the gateway and one microVM

// The number that `text` is, without leading zeros and at most `most`.
std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
    unsigned number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc{} && rest == text.data() + text.size() &&
                           number <= most && (text.size() == 1 || text.front() != '0');
    return is_number ? std::optional{number} : std::nullopt;
}

}  // namespace

std::optional<Ipv4> parse_address(std::string_view text) {
    Ipv4 address = 0;
    for (int part = 0; part < 4; ++part) {
        const std::size_t dot = part < 3 ? text.find('.') : text.size();
        if (dot == std::string_view::npos) {
            return std::nullopt;
        }
        const auto number = parse_number(text.substr(0, dot), 255);
        if (!number) {
            return std::nullopt;
        }
        address = address << 8 | *number;
        text.remove_prefix(part < 3 ? dot + 1 : dot);
    }
    return address;
}

std::string to_text(Ipv4 address) {
    std::string text;
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        text += (text.empty() ? "" : ".") + std::to_string(address >> shift & 0xFF);
    }
    return text;
}

std::optional<Subnet> parse_subnet(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto address = parse_address(text.substr(0, slash));
    const auto bits = parse_number(text.substr(slash + 1), most_bits);
    if (!address || !bits || *bits < fewest_bits) {
        return std::nullopt;
    }
    const Subnet subnet{*address, *bits};
    const bool is_own = (*address & (~Ipv4{0} >> *bits)) == 0;
    return is_own ? std::optional{subnet} : std::nullopt;
}

std::optional<Ipv4> find_free(const Subnet& subnet, const std::map<Ipv4, std::string>& taken) {
    Ipv4 candidate = subnet.gateway() + 1;
    for (auto at = taken.lower_bound(candidate); at != taken.end() && at->first == candidate;
         ++at) {
        ++candidate;
    }
    return candidate < subnet.last() ? std::optional{candidate} : std::nullopt;
}

}  // namespace shoal::network
