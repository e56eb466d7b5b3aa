// shoal: the command-line program. Parses, runs the command, and shows an error as one sentence.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/clone.h"
#include "controlplane/cli/installation.h"
#include "controlplane/cli/options.h"
#include "controlplane/cli/remote.h"
#include "controlplane/cli/run.h"
#include "controlplane/cli/snapshot.h"
#include "devices/host/clock.h"

namespace {

int fail(const char* sentence, shoal::cli::ExitCode code) {
    std::fprintf(stderr, "shoal: %s\n", sentence);
    return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t started_us = shoal::host::monotonic_us();
    using namespace shoal::cli;
    try {
        const Command command = parse_command_line({argv, static_cast<std::size_t>(argc)});
        if (const auto* options = std::get_if<RunOptions>(&command)) {
            run(*options, started_us);
        }
        if (const auto* options = std::get_if<SnapshotOptions>(&command)) {
            snapshot(*options);
            return 0;
        }
        if (const auto* options = std::get_if<CloneOptions>(&command)) {
            return clone(*options);
        }
        if (const auto* options = std::get_if<RemoteOptions>(&command)) {
            const int code = run(*options);
            return std::fflush(stdout) == 0 ? code
                                            : fail("cannot write to stdout", ExitCode::failed);
        }
        if (std::holds_alternative<InitOptions>(command) ||
            std::holds_alternative<JoinOptions>(command)) {
            // OpenSSL stays out of what starts with every microVM.
            const std::string program = find_helper("shoal-join");
            ::execv(program.c_str(), argv);
            throw CliError("cannot run " + program + ": " + std::strerror(errno));
        }
        if (const auto* text = std::get_if<ShowText>(&command)) {
            std::fputs(text->text.c_str(), stdout);
        }
        return std::fflush(stdout) == 0 ? 0 : fail("cannot write to stdout", ExitCode::failed);
    } catch (const CliError& error) {
        return fail(error.what(), error.exit_code());
    } catch (const std::exception& error) {
        return fail(error.what(), ExitCode::failed);
    }
}
