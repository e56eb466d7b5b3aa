// CliError: what ends a command. One sentence for stderr, and the exit code that goes with it.
#pragma once

#include <stdexcept>
#include <string>

namespace shoal::cli {

// As env(1), nohup(1) and container runtimes use them; below 125 the code is the program's own.
enum class ExitCode {
    refused = 1,           // by shoald; no program's
    failed = 125,          // our own errors
    not_executable = 126,  // the program was found and cannot be run
    not_found = 127,
};

class CliError : public std::runtime_error {
public:
    explicit CliError(const std::string& sentence, ExitCode exit_code = ExitCode::failed)
        : std::runtime_error{sentence}, exit_code_{exit_code} {}

    [[nodiscard]] ExitCode exit_code() const noexcept { return exit_code_; }

private:
    ExitCode exit_code_;
};

}  // namespace shoal::cli
