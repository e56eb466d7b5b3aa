// The command line of `shoal`, described to CLI11.
#include "controlplane/cli/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

#include "controlplane/cli/cli_error.h"
#include "devices/host/version.h"

namespace shoal::cli {
namespace {

// Checks for CLI11: empty when the word is fine, else why not.
std::string check_env(const std::string& word) {
    const auto equals = word.find('=');
    return equals == std::string::npos || equals == 0 ? word + " is not KEY=VALUE" : "";
}

template <typename Number>
std::optional<Number> parse_number(const std::string& word) {
    Number number{};
    const char* end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, number);
    return error == std::errc{} && rest == end ? std::optional{number} : std::nullopt;
}

std::string check_whole(const std::string& word) {
    return parse_number<std::uint64_t>(word) ? "" : word + " is not a whole number";
}

std::string check_memory(const std::string& word) {
    return parse_number<std::uint64_t>(word).value_or(0) > 0
               ? ""
               : word + " is not a number of MiB: the smallest is 1";
}

std::string check_seconds(const std::string& word) {
    return parse_number<double>(word).value_or(0) > 0 ? "" : word + " is not a number above 0";
}

class RunFormatter : public CLI::Formatter {
public:
    std::string make_usage(const CLI::App*, std::string) const override {
        return "Usage: shoal run [OPTIONS] [--] PROGRAM [ARGS...]\n";
    }
};

void describe_run(CLI::App& run, RunOptions& options) {
    run.formatter(std::make_shared<RunFormatter>());
    run.add_option("--memory", options.memory_mib, "Memory of the microVM (default 128)")
        ->type_name("MIB")
        ->check(check_memory);
    run.add_option("--vcpus", options.vcpus, "Virtual CPUs, 1 to 32 (default 1)")
        ->type_name("N")
        ->check(check_whole);
    run.add_option("--env", options.env, "Set a variable for the program; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->check(check_env);
    run.add_option("--root", options.root,
                   "Directory whose files are the microVM's / (copied), or an EROFS image")
        ->type_name("DIR|FILE");
    run.add_option("--disk", options.disks, "Disk image for /dev/vda and on; may be repeated")
        ->type_name("PATH[,ro]")
        ->allow_extra_args(false);
    run.add_option_function<std::string>(
           "--network",
           [&options](const std::string& text) { options.network = parse_network(text); },
           "Network over a TAP of the host; without ip= by DHCP. Also: gateway=ADDRESS,\n"
           "ip6=ADDRESS/BITS, gateway6=ADDRESS, mac=MAC")
        ->type_name("tap=NAME[,ip=ADDRESS/BITS][,...]");
    run.add_option("--vsock", options.vsock,
                   "Vsock device (guest CID 3): host programs connect to this unix socket and say\n"
                   "\"CONNECT <port>\\n\"; the program reaches who listens at UDS_PATH_<port>")
        ->type_name("UDS_PATH");
    run.add_option("--with", options.with,
                   "Add a file or folder of the host at the same path, with the libraries that\n"
                   "programs and libraries in it need; may be repeated")
        ->type_name("PATH")
        ->allow_extra_args(false);
    run.add_option("--timeout", options.timeout_s, "End the microVM after so many seconds")
        ->type_name("SECONDS")
        ->check(check_seconds);
    run.add_flag("--timing", options.timing, "Print when each step happened, in microseconds");
    run.add_flag("--trace-syscalls", options.trace_syscalls,
                 "Print the program's system calls, and those that are missing");
    run.add_flag("--verbose", options.verbose, "Say which files of the host were taken, and why");
    run.footer(
        "PROGRAM is an x86-64 Linux program or a script. Its dynamic linker, libraries and\n"
        "interpreter come along by themselves. It runs with the standard input, output and error\n"
        "of this command; its exit code is the command's, 128 + N if signal N ended it.\n"
        "125: shoal itself failed; 126: PROGRAM cannot be run; 127: PROGRAM was not found.");
}

// Where the words of `run` stop being ours: at `--` or at the first one that is neither an option
// nor an option's value.
std::size_t count_own_words(const CLI::App& run, std::span<char* const> words) {
    for (std::size_t at = 0; at < words.size(); ++at) {
        const std::string word = words[at];
        if (word == "--" || word.size() < 2 || word.front() != '-') {
            return at;
        }
        const CLI::Option* option = run.get_option_no_throw(word);
        if (option != nullptr && option->get_items_expected_max() > 0) {
            ++at;
        }
    }
    return words.size();
}

void take_program(std::span<char* const> words, RunOptions& options) {
    if (!words.empty() && std::string_view{words.front()} == "--") {
        words = words.subspan(1);
    }
    if (words.empty()) {
        throw CliError("run needs a PROGRAM; see shoal run --help");
    }
    options.program = words.front();
    options.words.assign(words.begin() + 1, words.end());
}

}  // namespace

Command parse_command_line(std::span<char* const> args) {
    CLI::App app{"Runs unmodified Linux programs in microVMs.", "shoal"};
    RunOptions options;
    app.set_version_flag("--version", std::string{"shoal "} + host::version, "Print the version");
    CLI::App* run = app.add_subcommand("run", "Run a program in a new microVM");
    describe_run(*run, options);

    std::size_t own = args.size();
    if (args.size() > 1 && std::string_view{args[1]} == "run") {
        own = 2 + count_own_words(*run, args.subspan(2));
    }
    try {
        app.parse(static_cast<int>(own), args.data());
    } catch (const CLI::CallForHelp&) {
        return ShowText{app.help()};
    } catch (const CLI::CallForVersion&) {
        return ShowText{app.version() + "\n"};
    } catch (const CLI::ParseError& error) {
        throw CliError(error.what());
    }
    if (!run->parsed()) {
        return ShowText{app.help()};
    }
    take_program(args.subspan(own), options);
    return options;
}

}  // namespace shoal::cli
