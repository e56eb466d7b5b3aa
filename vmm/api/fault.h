// Fault: a request that is refused; the text is the response's fault_message.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace shoal::api {

struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Does `work`; what it throws becomes a Fault behind the resource's prefix ("Drive config error:
// ").
template <typename Work>
auto with_prefix(std::string_view prefix, Work&& work) {
    try {
        return work();
    } catch (const std::exception& error) {
        throw Fault{std::string{prefix} + error.what()};
    }
}

}  // namespace shoal::api
