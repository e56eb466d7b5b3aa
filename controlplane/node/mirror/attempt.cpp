// Names are a-z, 0-9 and '-' (model/microvm.h), so that '@' ends them.
#include "controlplane/node/mirror/attempt.h"

#include <charconv>

#include "controlplane/model/json.h"

namespace shoal::node {
namespace {

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
    Number number{};
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && rest == end ? std::optional{number} : std::nullopt;
}

}  // namespace

std::string to_folder_name(const Attempt& attempt) {
    return attempt.name + "@" + std::to_string(attempt.created) + "." +
           std::to_string(attempt.restarts);
}

std::optional<Attempt> attempt_in(std::string_view folder_name) {
    const std::size_t at = folder_name.find('@');
    const std::size_t dot = folder_name.find('.');
    if (at == std::string_view::npos || dot == std::string_view::npos || dot < at ||
        !model::is_name(folder_name.substr(0, at))) {
        return std::nullopt;
    }
    const auto created = number_in<std::int64_t>(folder_name.substr(at + 1, dot - at - 1));
    const auto restarts = number_in<std::uint64_t>(folder_name.substr(dot + 1));
    if (!created || *created < 0 || !restarts) {
        return std::nullopt;
    }
    Attempt attempt{std::string{folder_name.substr(0, at)}, *created, *restarts};
    // One name for one attempt: no leading zeros.
    return to_folder_name(attempt) == folder_name ? std::optional{std::move(attempt)}
                                                  : std::nullopt;
}

}  // namespace shoal::node
