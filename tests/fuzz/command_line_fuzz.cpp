// Fuzzes the guest kernel's command-line parser: what it returns lies within what it was given.
#include "guest/kernel/boot/command_line.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void require_within(std::string_view word, std::string_view text) {
    const bool is_default = word == "/init" || word.empty();
    if (!is_default &&
        (word.data() < text.data() || word.data() + word.size() > text.data() + text.size())) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string text{reinterpret_cast<const char*>(data), size};
    const auto line = shoal::guest::parse_command_line({text.data(), text.size()});
    require_within(line.init, text);
    require_within(line.console, text);
    for (const auto word : line.arguments) {
        require_within(word, text);
    }
    for (const auto word : line.environment) {
        require_within(word, text);
    }
    return 0;
}
