// shoal-join: what `shoal init` and `shoal join` become.
#include <cstdio>
#include <exception>
#include <variant>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/options.h"
#include "controlplane/join/init.h"
#include "controlplane/join/join.h"

namespace {

int fail(const char* sentence, shoal::cli::ExitCode code) {
    std::fprintf(stderr, "shoal: %s\n", sentence);
    return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace shoal;
    try {
        const cli::Command command =
            cli::parse_command_line({argv, static_cast<std::size_t>(argc)});
        if (const auto* first = std::get_if<cli::InitOptions>(&command)) {
            join::init(*first);
        } else if (const auto* other = std::get_if<cli::JoinOptions>(&command)) {
            join::join(*other);
        } else {
            throw cli::CliError("shoal-join is run by shoal init and shoal join");
        }
        return std::fflush(stdout) == 0 ? 0 : fail("cannot write to stdout", cli::ExitCode::failed);
    } catch (const cli::CliError& error) {
        return fail(error.what(), error.exit_code());
    } catch (const std::exception& error) {
        return fail(error.what(), cli::ExitCode::failed);
    }
}
