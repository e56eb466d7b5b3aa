// The command line, with CLI11.
#include "vmm/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <map>

#include "devices/abi/address_map.h"
#include "devices/host/version.h"
#include "vmm/api/instance_info.h"
#include "vmm/api/logger.h"
#include "vmm/api/network_interface.h"
#include "vmm/state/section.h"
#include "vmm/warm_shape.h"

namespace shoal::vmm {
namespace {

// Firecracker's, for what is still to come.
constexpr std::array later_options{"--metadata", "--mmds-size-limit"};
constexpr std::array later_flags{"--enable-pci"};

constexpr std::size_t max_instance_id_bytes = 64;

// As they are on the command line, before it is clear which way is meant.
struct RawOptions {
    DirectOptions direct;
    ApiOptions api;
    RebaseOptions rebase;
    std::string log_level;
    bool show_level = false;
    bool show_origin = false;
    bool no_api = false;
    bool has_api_path = false;
    bool no_seccomp = false;
    std::string seccomp_filter;
    bool show_version = false;
    bool show_snapshot_version = false;
    DescribeOptions describe;
    CheckOptions check;
};

void define_direct(CLI::App& app, DirectOptions& options) {
    app.add_option("--kernel", options.kernel, "Kernel: ELF with a PVH note, ELF, or bzImage")
        ->type_name("FILE");
    app.add_option("--initrd", options.initrd, "Initial file system, given to the kernel")
        ->type_name("FILE");
    app.add_option("--initrd-map", options.initrd_map,
                   "List of files whose pages lie in the initial file system's holes")
        ->type_name("FILE")
        ->needs("--initrd");
    app.add_option("--cmdline", options.command_line, "Kernel command line")->type_name("TEXT");
    app.add_option("--root", options.root_image, "EROFS image, the first disk and the kernel's /")
        ->type_name("FILE");
    app.add_option("--disk", options.disks, "Disk image or device; may be repeated")
        ->allow_extra_args(false)
        ->type_name("PATH[,ro][,direct]");
    app.add_option("--memory", options.memory_mib, "Guest memory in MiB")
        ->capture_default_str()
        ->type_name("MIB");
    app.add_option("--vcpus", options.vcpus, "Virtual CPUs, 1 to 32")
        ->capture_default_str()
        ->type_name("N");
    app.add_option("--console", options.console,
                   "Where stdin and stdout lead: serial, virtio (and stderr too) or none")
        ->transform(CLI::CheckedTransformer(std::map<std::string, Console>{
            {"serial", Console::serial}, {"virtio", Console::virtio}, {"none", Console::none}}))
        ->type_name("KIND");
    app.add_option("--tap", options.tap, "Network device on this TAP of the host")
        ->type_name("NAME");
    app.add_option_function<std::string>(
           "--mac",
           [&options](const std::string& text) {
               options.mac = api::TextForm<MacAddress>::parse(text);
               if (!options.mac) {
                   throw CLI::ValidationError("--mac", text + " is no MAC address");
               }
           },
           "The network device's address (default: the guest makes one up)")
        ->needs("--tap")
        ->type_name("MAC");
    app.add_option("--vsock", options.vsock,
                   "Vsock device for guest CID 3: host programs connect to this unix socket and\n"
                   "say \"CONNECT <port>\\n\"; the guest reaches who listens at UDS_PATH_<port>")
        ->type_name("UDS_PATH");
    app.add_flag("--balloon", options.balloon,
                 "Balloon device by which the guest gives free memory back (free page reporting)");
    app.add_option("--timeout", options.timeout_seconds, "End the guest after so many seconds")
        ->check(CLI::PositiveNumber)
        ->type_name("SECONDS");
    app.add_flag("--timing", options.timing, "Print when what happened, in microseconds");
}

void define_api(CLI::App& app, RawOptions& raw) {
    ApiOptions& options = raw.api;
    app.add_option("--api-sock", options.socket_path, "Unix socket of the API")
        ->capture_default_str()
        ->type_name("PATH");
    app.add_option(
           "--api-fd", options.connection,
           "Open connection (a stream socket) on which the API answers; on a path too, if one is "
           "given")
        ->check(CLI::NonNegativeNumber)
        ->type_name("FD");
    app.add_option("--ready-fd", options.ready_fd,
                   "Pipe that gets a byte when the guest's program waits to be copied")
        ->check(CLI::NonNegativeNumber)
        ->type_name("FD");
    app.add_option("--fence", options.fence,
                   "The guest stands still once the moment in this file has passed: 8 bytes,\n"
                   "nanoseconds of CLOCK_BOOTTIME, which may be moved on")
        ->type_name("FILE");
    app.add_option_function<std::vector<std::string>>(
           "--warm",
           [&options](const std::vector<std::string>& words) {
               const bool is_bare = words.empty() || words.front().empty();
               const std::string word = is_bare ? "1,128" : words.front();
               options.warm = parse_warm_shape(word);
               if (!options.warm) {
                   throw CLI::ValidationError("--warm", word + " is not VCPUS,MIB, with 1 to " +
                                                            std::to_string(abi::max_vcpus) +
                                                            " vCPUs");
               }
           },
           "Makes the VM and its vCPUs at once, for a snapshot (or a microVM) of this shape that "
           "is\n"
           "loaded later, and faster for it; one of another shape is loaded as always (1,128)")
        ->expected(0, 1)
        ->type_name("VCPUS,MIB");
    app.add_option(
           "--allow", options.jail.allowed_paths,
           "Once the API listens, files are opened at and below this path only (Landlock),\n"
           "or only read; may be repeated")
        ->allow_extra_args(false)
        ->type_name("PATH[,ro]");
    app.add_option("--id", options.instance_id, "The microVM's name: letters, digits, '-'")
        ->capture_default_str();
    app.add_option("--config-file", options.config_path, "Configures and starts the microVM")
        ->type_name("FILE");
    app.add_flag("--no-api", raw.no_api, "Without a socket")
        ->needs("--config-file")
        ->excludes("--api-fd");
    app.add_option("--log-path", options.log.path, "File or named pipe of the log")
        ->type_name("PATH");
    app.add_option("--level", raw.log_level, "Error, Warning, Info, Debug, Trace or Off");
    app.add_option("--module", options.log.module, "Log only what source paths that start so say");
    app.add_flag("--show-level", raw.show_level, "Log each line's level");
    app.add_flag("--show-log-origin", raw.show_origin, "Log each line's file and line");
    app.add_option("--metrics-path", options.metrics_path, "File or named pipe of the metrics")
        ->type_name("PATH");
    app.add_option("--http-api-max-payload-size", options.max_body_bytes,
                   "Bytes that a request's body may have")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->type_name("BYTES");
    app.add_option("--start-time-cpu-us", options.start_time_cpu_us,
                   "This process's CPU time when it was started")
        ->check(CLI::NonNegativeNumber)
        ->type_name("US");
    app.add_option("--parent-cpu-time-us", options.parent_cpu_time_us,
                   "CPU time of the process that started this one")
        ->check(CLI::NonNegativeNumber)
        ->type_name("US");
    for (const char* name :
         {"--initrd", "--initrd-map", "--cmdline", "--root", "--disk", "--memory", "--vcpus",
          "--console", "--tap", "--mac", "--vsock", "--balloon", "--timeout", "--timing"}) {
        app.get_option(name)->needs("--kernel");
    }
}

void define_rebase(CLI::App& app, RebaseOptions& options) {
    app.add_option(
           "--rebase", options.base,
           "Runs nothing: merges the memory file of a Diff snapshot (--diff) into this one\n"
           "of the snapshot before, which then belongs to the Diff's state file")
        ->type_name("FILE");
    app.add_option("--diff", options.difference, "For --rebase")
        ->needs("--rebase")
        ->type_name("FILE");
    app.get_option("--rebase")->needs("--diff");
}

void define_snapshots(CLI::App& app, RawOptions& raw) {
    app.add_flag("--snapshot-version", raw.show_snapshot_version,
                 "Print the version of snapshots that are written");
    app.add_option("--describe-snapshot", raw.describe.state,
                   "Print the version of this state file, once it is checked")
        ->type_name("FILE");
}

void define_check(CLI::App& app, CheckOptions& options) {
    app.add_option(
           "--check-kernel", options.kernel,
           "Runs nothing: fails, with a sentence, unless this file is a kernel that can be\n"
           "started")
        ->type_name("FILE");
}

void define_later(CLI::App& app) {
    for (const char* name : later_options) {
        app.add_option(name, "Not supported yet");
    }
    for (const char* name : later_flags) {
        app.add_flag(name)->description("Not supported yet");
    }
}

// Whether --kernel is there. Then the API's options are not even defined: `shoal run` starts a
// process for every program and must not pay for them.
bool is_direct(std::span<char*> args) {
    return std::ranges::any_of(args, [](const std::string_view word) {
        return word == "--kernel" || word.starts_with("--kernel=");
    });
}

void define(CLI::App& app, RawOptions& raw) {
    define_direct(app, raw.direct);
    app.add_flag("--boot-timer", raw.direct.boot_timer, "Tell when the guest had booted");
    app.add_option("--start-time-us", raw.direct.start_time_us,
                   "When this process was started (CLOCK_MONOTONIC)")
        ->check(CLI::NonNegativeNumber)
        ->type_name("US");
    app.add_flag("--no-seccomp", raw.no_seccomp, "Without system call filters");
    app.add_option("--seccomp-filter", raw.seccomp_filter,
                   "System call filters as Firecracker's seccompiler-bin writes them, instead of "
                   "ours")
        ->excludes("--no-seccomp")
        ->type_name("FILE");
    app.add_flag("--version", raw.show_version, "Print the version");
}

void refuse_later(const CLI::App& app) {
    const auto check = [&app](const char* name) {
        if (app.count(name) > 0) {
            throw OptionsError{ExitCode::bad_arguments,
                               std::string{name} + " is not supported yet"};
        }
    };
    std::ranges::for_each(later_options, check);
    std::ranges::for_each(later_flags, check);
}

void check_instance_id(const std::string& id) {
    const auto is_allowed = [](char byte) {
        return byte == '-' || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
               (byte >= 'A' && byte <= 'Z');
    };
    if (id.empty() || id.size() > max_instance_id_bytes || !std::ranges::all_of(id, is_allowed)) {
        throw OptionsError{ExitCode::bad_arguments,
                           "Invalid instance ID: --id \"" + id + "\" must be 1 to " +
                               std::to_string(max_instance_id_bytes) + " letters, digits and '-'"};
    }
}

void set_filters(const RawOptions& raw, jail::JailOptions& options) {
    if (raw.no_seccomp) {
        options.filters = jail::Filters::off;
    } else if (!raw.seccomp_filter.empty()) {
        options.filters = jail::Filters::on;
        options.filter_path = raw.seccomp_filter;
    }
}

ApiOptions api_options(RawOptions& raw) {
    ApiOptions options = std::move(raw.api);
    check_instance_id(options.instance_id);
    options.log.instance_id = options.instance_id;
    if (!raw.log_level.empty()) {
        options.log.level = api::parse_log_level(raw.log_level);
        if (!options.log.level) {
            throw OptionsError{ExitCode::bad_configuration,
                               "Invalid value for logger level: " + raw.log_level +
                                   ". Possible values: [Error, Warning, Info, Debug, Trace, Off]"};
        }
    }
    if (raw.show_level) {
        options.log.show_level = true;
    }
    if (raw.show_origin) {
        options.log.show_origin = true;
    }
    if (raw.no_api || (options.connection >= 0 && !raw.has_api_path)) {
        options.socket_path.clear();
    }
    options.boot_timer = raw.direct.boot_timer;
    options.start_time_us = raw.direct.start_time_us;
    return options;
}

// Clients of Firecracker look for its version in the first line.
std::string version_text() {
    return std::string{"Firecracker v"} + api::firecracker_version + "\n\nshoal-vmm " +
           host::version + "\n";
}

}  // namespace

Options parse_options(std::span<char*> args) {
    RawOptions raw;
    CLI::App app{
        "Runs one microVM on KVM: the one that --kernel and its options describe, or one "
        "that is configured through Firecracker's API or configuration file."};
    define(app, raw);
    if (!is_direct(args)) {
        define_api(app, raw);
        define_rebase(app, raw.rebase);
        define_snapshots(app, raw);
        define_check(app, raw.check);
        define_later(app);
    }
    try {
        app.parse(static_cast<int>(args.size()), args.data());
    } catch (const CLI::CallForHelp&) {
        return PrintOptions{app.help()};
    } catch (const CLI::ParseError& error) {
        throw OptionsError{ExitCode::bad_arguments, error.what()};
    }
    if (raw.show_version) {
        return PrintOptions{version_text()};
    }
    set_filters(raw, raw.direct.jail);
    set_filters(raw, raw.api.jail);
    if (is_direct(args)) {
        return raw.direct;
    }
    refuse_later(app);
    if (raw.show_snapshot_version) {
        return PrintOptions{state::version_text() + "\n"};
    }
    if (!raw.describe.state.empty()) {
        return raw.describe;
    }
    if (!raw.rebase.base.empty()) {
        return raw.rebase;
    }
    if (!raw.check.kernel.empty()) {
        return raw.check;
    }
    raw.has_api_path = app.count("--api-sock") > 0;
    return api_options(raw);
}

}  // namespace shoal::vmm
