// Described to CLI11.
#include "controlplane/shoald/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "controlplane/model/json.h"
#include "devices/host/version.h"

namespace shoal::daemon {
namespace {

// The host's name as the model wants it: lower case, without its domain.
std::string host_name() {
    std::array<char, 256> bytes{};
    if (::gethostname(bytes.data(), bytes.size() - 1) < 0) {
        return "localhost";
    }
    std::string name{bytes.data()};
    name = name.substr(0, std::min<std::size_t>(name.find('.'), 63));
    std::ranges::transform(name, name.begin(), [](char byte) {
        return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    });
    return model::is_name(name) ? name : "localhost";
}

// CLI11 takes -1 for the largest number there is.
std::string check_whole(const std::string& word) {
    const bool is_whole =
        !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    return is_whole ? "" : word + " is not a whole number";
}

void describe(CLI::App& app, Options& options) {
    app.set_version_flag("--version", std::string{"shoald "} + host::version, "Print the version");
    app.add_option("--socket", options.socket, "The API's unix socket (RUN_DIR/shoald.socket)")
        ->type_name("PATH");
    app.add_option("--run-dir", options.run_dir, "What runs (default /run/shoal)")
        ->type_name("DIR");
    app.add_option("--state-dir", options.state_dir, "What lasts (default /var/lib/shoal)")
        ->type_name("DIR");
    app.add_option("--host", options.host, "This host's name (default: the host name)")
        ->type_name("NAME");
    app.add_option("--memory-overcommit", options.memory_overcommit,
                   "MicroVMs' memory over the host's (default 4)")
        ->type_name("RATIO")
        ->check(CLI::Range(0.01, 1000.0));
    app.add_option("--cpu-overcommit", options.cpu_overcommit,
                   "Virtual CPUs over the host's CPUs (default 1000)")
        ->type_name("RATIO")
        ->check(CLI::Range(0.01, 10000.0));
    app.add_option("--reserved-memory", options.reserved_mib,
                   "Of the host's memory, not for microVMs (default 512)")
        ->type_name("MIB")
        ->check(check_whole);
    app.add_option("--max-microvms", options.max_microvms, "How many may run (default 10000)")
        ->type_name("N")
        ->check(check_whole);
    app.add_option("--cgroup-mount", options.cgroup_mount,
                   "Where control groups are mounted (default /sys/fs/cgroup)")
        ->type_name("DIR");
    app.add_option("--log-limit", options.log_limit_bytes,
                   "Of each microVM's output the newest so many bytes are kept (default 1048576)")
        ->type_name("BYTES")
        ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1} << 40));
}

}  // namespace

Options parse_options(std::span<char* const> args) {
    CLI::App app{"Runs the microVMs of one host, and keeps them running.", "shoald"};
    Options options;
    describe(app, options);
    try {
        app.parse(static_cast<int>(args.size()), args.data());
    } catch (const CLI::CallForHelp&) {
        options.text = app.help();
    } catch (const CLI::CallForVersion&) {
        options.text = app.version() + "\n";
    } catch (const CLI::ParseError& error) {
        throw OptionsError{error.what()};
    }
    if (app.count("--socket") == 0) {
        options.socket = options.run_dir + "/shoald.socket";
    }
    if (options.host.empty()) {
        options.host = host_name();
    } else if (!model::is_name(options.host)) {
        throw OptionsError{"--host " + options.host +
                           ": 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"};
    }
    return options;
}

}  // namespace shoal::daemon
