// The command line of `shoal`, described to CLI11.
#include "controlplane/cli/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/completion.h"
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

std::string check_absolute(const std::string& word) {
    return word.starts_with('/') ? "" : word + " does not begin with /";
}

class UsageFormatter : public CLI::Formatter {
public:
    explicit UsageFormatter(std::string usage) : usage_{std::move(usage)} {}
    std::string make_usage(const CLI::App*, std::string) const override {
        return "Usage: shoal " + usage_ + "\n";
    }

private:
    std::string usage_;
};

void describe_program(CLI::App& command, ProgramOptions& options) {
    command.add_option("--memory", options.memory_mib, "Memory of the microVM (default 128)")
        ->type_name("MIB")
        ->check(check_memory);
    command.add_option("--vcpus", options.vcpus, "Virtual CPUs, 1 to 32 (default 1)")
        ->type_name("N")
        ->check(check_whole);
    command.add_option("--env", options.env, "Set a variable for the program; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->check(check_env);
    command
        .add_option("--root", options.root,
                    "Directory whose files are the microVM's / (copied), or an EROFS image")
        ->type_name("DIR|FILE");
    command
        .add_option("--workdir", options.workdir,
                    "Folder of the microVM in which the program starts (default /)")
        ->type_name("PATH")
        ->check(check_absolute);
    command
        .add_option("--with", options.with,
                    "Add a file or folder of the host at the same path, with the libraries that\n"
                    "programs and libraries in it need; may be repeated")
        ->type_name("PATH")
        ->allow_extra_args(false);
    command.add_flag("--verbose", options.verbose,
                     "Say which files of the host were taken, and why");
}

// Of a command that has --vsock.
void describe_exec(CLI::App& command, ProgramOptions& options) {
    command
        .add_flag("--exec", options.exec,
                  "Let the host run commands beside PROGRAM, by vsock port 7432")
        ->needs("--vsock");
}

CLI::Option* describe_network(CLI::App& command, std::optional<NetworkOption>& network,
                              const char* what) {
    return command
        .add_option_function<std::string>(
            "--network", [&network](const std::string& text) { network = parse_network(text); },
            what)
        ->type_name("tap=NAME[,ip=ADDRESS/BITS][,...]");
}

void describe_snapshot(CLI::App& snapshot, SnapshotOptions& options) {
    snapshot.formatter(
        std::make_shared<UsageFormatter>("snapshot --to FOLDER [OPTIONS] [--] PROGRAM [ARGS...]"));
    describe_program(snapshot, options);
    snapshot.add_option("--to", options.folder, "Folder for the template's two files")
        ->type_name("FOLDER")
        ->required();
    snapshot
        .add_option("--ready-line", options.ready_line,
                    "The program is ready when it has printed this line\n"
                    "(default: when it waits for the first bytes of /dev/clone)")
        ->type_name("TEXT");
    snapshot.add_flag("--vsock", options.vsock,
                      "Vsock device (guest CID 3), whose path is said to clone");
    describe_exec(snapshot, options);
    snapshot.add_flag(
        "--compress", options.compress,
        "Compress the memory (zstd): a smaller template, whose clones share none of it");
    describe_network(snapshot, options.network,
                     "Network as of shoal run, with ip= or mac=; clones may have others");
    snapshot
        .add_option("--timeout", options.timeout_s,
                    "How long the program may take to get ready (default 300)")
        ->type_name("SECONDS")
        ->check(check_seconds);
    snapshot.footer(
        "Runs PROGRAM, which is found as by shoal run, until it is ready, and saves its microVM "
        "for\n"
        "shoal clone. Its standard output and error are this command's standard output; its input\n"
        "is empty. When a clone goes on, a read of /dev/clone gives its id and its arguments, "
        "each\n"
        "with a NUL behind it, and getrandom(2) and /dev/urandom give bytes of its own. A "
        "generator\n"
        "that the program has seeded before is the same in all clones: seed it again.");
}

void describe_clone(CLI::App& clone, CloneOptions& options) {
    clone.formatter(
        std::make_shared<UsageFormatter>("clone --from FOLDER [OPTIONS] N [--] [ARGS...]"));
    clone.add_option("--from", options.folder, "Folder that shoal snapshot has filled")
        ->type_name("FOLDER")
        ->required();
    clone
        .add_option("--vsock", options.vsock,
                    "Each clone's vsock device is at this path with the clone's id behind it")
        ->type_name("PREFIX");
    describe_network(
        clone, options.network,
        "Clone 0's network, where the template has one; the next clone's addresses are\n"
        "the ones behind. In the TAP's name {} stands for the clone's id");
    clone.footer(
        "Runs N clones, whose ids are 0 to N - 1, until they have ended. They share all memory "
        "that\n"
        "they do not write to. In ARGS, {} stands for the clone's id. Their output comes as they\n"
        "write it, that of several in lines with the id before each. The exit code is that of the\n"
        "first clone that did not end with 0; 125: shoal itself failed.");
}

// Instead of a program.
void describe_kernel(CLI::App& run, RunOptions& options) {
    CLI::Option* kernel = run.add_option("--kernel", options.kernel,
                                         "Boot this kernel (bzImage or ELF) and run no PROGRAM: "
                                         "its console is\n"
                                         "ttyS0, and --root its first disk")
                              ->type_name("FILE");
    run.add_option("--initramfs", options.initramfs, "Of the kernel")
        ->type_name("FILE")
        ->needs(kernel);
    run.add_option("--cmdline", options.cmdline, "Of the kernel (default " + options.cmdline + ")")
        ->type_name("WORDS")
        ->needs(kernel);
    for (const char* name : {"--env", "--workdir", "--with", "--verbose", "--exec", "--timeout",
                             "--timing", "--trace-syscalls"}) {
        kernel->excludes(run.get_option(name));
    }
}

void describe_run(CLI::App& run, RunOptions& options) {
    run.formatter(std::make_shared<UsageFormatter>(
        "run [OPTIONS] [--] PROGRAM [ARGS...]\n       shoal run --kernel FILE [OPTIONS]"));
    describe_program(run, options);
    run.add_option("--disk", options.disks,
                   "Disk image for /dev/vda and on; may be repeated. ro: read-only;\n"
                   "direct: past the host's page cache")
        ->type_name("PATH[,ro][,direct]")
        ->allow_extra_args(false);
    describe_network(run, options.network,
                     "Network over a TAP of the host; without ip= by DHCP. Also: gateway=ADDRESS,\n"
                     "dns=ADDRESS (once or twice), ip6=ADDRESS/BITS, gateway6=ADDRESS, mac=MAC");
    run.add_option("--vsock", options.vsock,
                   "Vsock device (guest CID 3): host programs connect to this unix socket and say\n"
                   "\"CONNECT <port>\\n\"; the program reaches who listens at UDS_PATH_<port>")
        ->type_name("UDS_PATH");
    describe_exec(run, options);
    run.add_option("--timeout", options.timeout_s, "End the microVM after so many seconds")
        ->type_name("SECONDS")
        ->check(check_seconds);
    run.add_option("--api-sock", options.api_socket,
                   "The VMM's API is at this unix socket: the microVM can be paused, saved and\n"
                   "moved. Its output is one stream then, and it starts more slowly")
        ->type_name("PATH");
    run.add_option("--fence", options.fence,
                   "File of the moment until which it may run; see shoal-vmm")
        ->type_name("FILE")
        ->needs("--api-sock");
    run.add_option(
           "--allow", options.allowed,
           "The VMM opens files at and below this path, and those that these options name,\n"
           "and no others (Landlock); may be repeated. One without an API that runs a\n"
           "PROGRAM opens none anyway")
        ->type_name("PATH[,ro]")
        ->allow_extra_args(false);
    run.add_flag("--timing", options.timing, "Print when each step happened, in microseconds");
    run.add_flag("--trace-syscalls", options.trace_syscalls,
                 "Print the program's system calls, and those that are missing");
    describe_kernel(run, options);
    run.footer(
        "PROGRAM is an x86-64 Linux program or a script. Its dynamic linker, libraries and\n"
        "interpreter come along by themselves. It runs with the standard input, output and error\n"
        "of this command; its exit code is the command's, 128 + N if signal N ended it.\n"
        "125: shoal itself failed; 126: PROGRAM cannot be run; 127: PROGRAM was not found.");
}

// Where the words of a command stop being ours: at `--` or at the first one that is neither an
// option nor an option's value.
std::size_t count_own_words(const CLI::App& command, std::span<char* const> words) {
    for (std::size_t at = 0; at < words.size(); ++at) {
        const std::string word = words[at];
        if (word == "--" || word.size() < 2 || word.front() != '-') {
            return at;
        }
        const CLI::Option* option = command.get_option_no_throw(word);
        if (option != nullptr && option->get_items_expected_max() > 0) {
            ++at;
        }
    }
    return words.size();
}

std::span<char* const> without_dashes(std::span<char* const> words) {
    const bool has_dashes = !words.empty() && std::string_view{words.front()} == "--";
    return has_dashes ? words.subspan(1) : words;
}

void take_program(std::span<char* const> words, const std::string& command,
                  ProgramOptions& options) {
    words = without_dashes(words);
    if (words.empty()) {
        throw CliError(command + " needs a PROGRAM; see shoal " + command + " --help");
    }
    options.program = words.front();
    options.words.assign(words.begin() + 1, words.end());
}

void take_clones(std::span<char* const> words, CloneOptions& options) {
    const auto count = words.empty() ? std::nullopt : parse_number<std::uint64_t>(words.front());
    if (!count) {
        throw CliError("clone needs N, a whole number; see shoal clone --help");
    }
    options.count = *count;
    words = without_dashes(words.subspan(1));
    options.words.assign(words.begin(), words.end());
}

}  // namespace

Command parse_command_line(std::span<char* const> args) {
    CLI::App app{"Runs unmodified Linux programs in microVMs.", "shoal"};
    RunOptions run_options;
    SnapshotOptions snapshot_options;
    CloneOptions clone_options;
    app.set_version_flag("--version", std::string{"shoal "} + host::version, "Print the version");
    CLI::App* run = app.add_subcommand("run", "Run a program in a new microVM");
    CLI::App* snapshot =
        app.add_subcommand("snapshot", "Prepare a program once, as a template for clones");
    CLI::App* clone = app.add_subcommand("clone", "Run copies of a prepared program");
    CLI::App* init =
        app.add_subcommand("init", "Make a cluster's certificates, for its first host");
    CLI::App* join = app.add_subcommand("join", "Get a certificate for another host of a cluster");
    InitOptions init_options;
    JoinOptions join_options;
    RemoteOptions remote;
    bool is_remote = false;

    // Only the command that is named has its options described: a program's start waits for it.
    std::size_t own = args.size();
    const std::string_view name = args.size() > 1 ? args[1] : "";
    if (name == "run") {
        describe_run(*run, run_options);
        own = 2 + count_own_words(*run, args.subspan(2));
    } else if (name == "snapshot") {
        describe_snapshot(*snapshot, snapshot_options);
        own = 2 + count_own_words(*snapshot, args.subspan(2));
    } else if (name == "clone") {
        describe_clone(*clone, clone_options);
        own = 2 + count_own_words(*clone, args.subspan(2));
    } else {
        describe_init(*init, init_options);
        describe_join(*join, join_options);
        describe_remote(app, remote, is_remote);
    }
    CLI::App* completion =
        app.add_subcommand("completion", "Print a script that completes shoal's words");
    std::string shell;
    completion->add_option("SHELL", shell, "bash")->required()->check(CLI::IsMember({"bash"}));
    try {
        app.parse(static_cast<int>(own), args.data());
    } catch (const CLI::CallForHelp&) {
        return ShowText{app.help()};
    } catch (const CLI::CallForVersion&) {
        return ShowText{app.version() + "\n"};
    } catch (const CLI::ParseError& error) {
        throw CliError(error.what());
    }
    if (is_remote) {
        return remote;
    }
    if (init->parsed()) {
        return init_options;
    }
    if (join->parsed()) {
        return join_options;
    }
    if (completion->parsed()) {
        describe_run(*run, run_options);
        describe_snapshot(*snapshot, snapshot_options);
        describe_clone(*clone, clone_options);
        return ShowText{bash_completion(app)};
    }
    const std::span<char* const> rest = args.subspan(own);
    if (run->parsed() && !run_options.kernel.empty()) {
        if (!rest.empty()) {
            throw CliError("--kernel runs no program: " + std::string{rest.front()} +
                           " is one word too many");
        }
        return run_options;
    }
    if (run->parsed()) {
        take_program(rest, "run", run_options);
        return run_options;
    }
    if (snapshot->parsed()) {
        take_program(rest, "snapshot", snapshot_options);
        return snapshot_options;
    }
    if (clone->parsed()) {
        take_clones(rest, clone_options);
        return clone_options;
    }
    return ShowText{app.help()};
}

}  // namespace shoal::cli
