// Two numbers and a comma.
#include "vmm/warm_shape.h"

#include <charconv>

#include "devices/abi/address_map.h"

namespace shoal::vmm {
namespace {

constexpr std::uint64_t mib_end = 1ULL << 32;

template <typename Number>
std::optional<Number> parse_number(std::string_view word) noexcept {
    Number number{};
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, number);
    return error == std::errc{} && rest == end ? std::optional{number} : std::nullopt;
}

}  // namespace

std::optional<WarmShape> parse_warm_shape(std::string_view word) noexcept {
    const std::size_t comma = word.find(',');
    if (comma == std::string_view::npos) {
        return std::nullopt;
    }
    const auto vcpus = parse_number<std::uint8_t>(word.substr(0, comma));
    const auto mib = parse_number<std::uint64_t>(word.substr(comma + 1));
    if (!vcpus || *vcpus < 1 || *vcpus > abi::max_vcpus || !mib || *mib < 1 || *mib >= mib_end) {
        return std::nullopt;
    }
    return WarmShape{*vcpus, *mib};
}

}  // namespace shoal::vmm
