// Without a terminal there is no escape: input is what it is, and its end leaves nothing.
#include "controlplane/cli/console.h"

#include <unistd.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/terminal_mode.h"

namespace shoal::cli {
namespace {

void tell(const std::string& sentence) {
    std::fprintf(stderr, "shoal: %s\n", sentence.c_str());
}

}  // namespace

Typed typed_in(std::string_view bytes) {
    const std::size_t escape = bytes.find(escape_key);
    return {bytes.substr(0, escape), bytes.empty() || escape != std::string_view::npos};
}

int console(const Client& client, const ConsoleOptions& options, const std::string& target) {
    const std::string query =
        "?tail=" + std::to_string(options.tail) + (options.is_forced ? "&force=true" : "");
    Upgraded upgraded;
    try {
        upgraded = client.upgrade({"POST", target + query}, exec::console_protocol);
    } catch (const CliError& error) {
        throw CliError(error.what());  // Exit code 1 would be the microVM's.
    }
    std::optional<exec::Ended> ended;
    if (::isatty(STDIN_FILENO) == 1) {
        tell("attached to the console of microVM " + options.name + "; Ctrl-] leaves it");
        const TerminalMode mode{
            options.is_raw ? TerminalMode::Keys::raw : TerminalMode::Keys::by_line, escape_key};
        ended =
            FrameExchange{std::move(upgraded), "its console", Terminal{typed_in, mode.signals()}}
                .run();
    } else {
        ended = FrameExchange{std::move(upgraded), "its console"}.run();
    }
    if (!ended) {
        std::fputc('\n', stderr);
        tell("left the console of microVM " + options.name + ", which runs on");
        return 0;
    }
    tell(printable(ended->reason));
    return ended->code;
}

}  // namespace shoal::cli
