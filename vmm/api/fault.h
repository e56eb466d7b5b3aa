// Fault: a request that is refused; the text is the response's fault_message.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace shoal::api {

struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Errors of the operating system with their number, as Rust shows them and clients look for it.
[[nodiscard]] inline std::string describe(const std::exception& error) {
    const auto* os = dynamic_cast<const std::system_error*>(&error);
    return os == nullptr ? error.what()
                         : std::string{error.what()} + " (os error " +
                               std::to_string(os->code().value()) + ")";
}

// Does `work`; what it throws becomes a Fault behind the resource's prefix ("Drive config error:
// ").
template <typename Work>
auto with_prefix(std::string_view prefix, Work&& work) {
    try {
        return work();
    } catch (const std::exception& error) {
        throw Fault{std::string{prefix} + describe(error)};
    }
}

}  // namespace shoal::api
