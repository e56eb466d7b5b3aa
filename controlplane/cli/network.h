// --network of `shoal run`: a TAP of the host, and the addresses that the microVM has on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::cli {

struct NetworkOption {
    std::string tap;
    std::string mac;               // empty: the microVM makes one up
    std::string ip;                // ADDRESS/BITS; empty: by DHCP
    std::string gateway;           // empty: none
    std::vector<std::string> dns;  // at most two; empty: as DHCP offers
    std::string ip6;               // ADDRESS/BITS; empty: as routers announce
    std::string ip6_gateway;       // empty: as routers announce
};

// Each {} in the word is the id.
[[nodiscard]] std::string with_id(const std::string& word, const std::string& id);

// tap=NAME[,ip=ADDRESS/BITS][,gateway=ADDRESS][,dns=ADDRESS][,dns=ADDRESS][,ip6=ADDRESS/BITS][,gateway6=ADDRESS][,mac=MAC]
// Throws CliError.
[[nodiscard]] NetworkOption parse_network(const std::string& text);

// That of copy `number` of a microVM whose first copy has this one: the addresses behind its own,
// by so many, and of the TAP's name each {} is the number. Without a MAC it is made of the IPv4
// address. Throws CliError when there is none.
[[nodiscard]] NetworkOption network_of_copy(const NetworkOption& first, std::uint64_t number);

// The words of the kernel's command line that tell it its addresses, each with a space before it.
[[nodiscard]] std::string network_words(const NetworkOption& network);

}  // namespace shoal::cli
