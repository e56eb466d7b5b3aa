// shoal-vmm's command line. Two ways to use the program share it: a microVM that the options
// themselves describe (`--kernel`, what `shoal run` does), and Firecracker's, where a configuration
// file or requests on the API's socket describe it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "devices/host/log.h"
#include "vmm/api/server.h"
#include "vmm/jail/jail.h"
#include "vmm/machine/config.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/microvm_factory.h"

namespace shoal::vmm {

struct DirectOptions {
    jail::JailOptions jail;
    std::string kernel;
    std::string initrd;
    std::string initrd_map;
    std::string command_line;
    std::string root_image;          // an EROFS image, the guest's first disk; empty: none
    std::vector<std::string> disks;  // PATH[,ro][,direct]
    std::uint64_t memory_mib = 128;
    std::uint32_t vcpus = 1;
    Console console = Console::serial;
    std::string tap;  // empty: no network device
    std::optional<MacAddress> mac;
    std::string vsock;  // the unix socket of the vsock device; empty: none
    bool balloon = false;
    double timeout_seconds = 0;
    bool timing = false;
    bool boot_timer = false;
    std::uint64_t start_time_us = 0;  // 0: now
};

struct ApiOptions {
    jail::JailOptions jail;
    std::string socket_path = "/run/firecracker.socket";  // empty: no API
    std::string instance_id = "anonymous-instance";
    int connection = -1;  // an open connection of the API instead of a socket's path; -1: none
    int ready_fd = -1;    // gets a byte when the guest waits to be copied; -1: none
    std::optional<WarmShape> warm;  // make a VM of this shape before anybody asks for one
    std::optional<std::string> config_path;
    std::string fence;  // file of the moment until which the guest may run; empty: none
    std::optional<std::string> metrics_path;
    host::LogUpdate log;
    std::uint64_t max_body_bytes = api::default_max_body_bytes;
    bool boot_timer = false;
    // On CLOCK_MONOTONIC and of CPU time, from whoever started this process; 0: not told.
    std::uint64_t start_time_us = 0;
    std::uint64_t start_time_cpu_us = 0;
    std::uint64_t parent_cpu_time_us = 0;
};

// Merges a Diff snapshot's memory file into that of the snapshot it builds on.
struct RebaseOptions {
    std::string base;
    std::string difference;
};

// Tells the version of a snapshot's state file.
struct DescribeOptions {
    std::string state;
};

// Says whether a file is a kernel that can be started.
struct CheckOptions {
    std::string kernel;
};

// There is nothing to run: what was asked for (--help, --version) is printed on stdout.
struct PrintOptions {
    std::string text;
};

using Options = std::variant<DirectOptions, ApiOptions, RebaseOptions, DescribeOptions,
                             CheckOptions, PrintOptions>;

// Options that cannot be, with the exit code for it.
struct OptionsError : std::runtime_error {
    OptionsError(ExitCode exit_code, const std::string& sentence)
        : std::runtime_error{sentence}, code{exit_code} {}
    ExitCode code;
};

// Throws OptionsError with one sentence.
[[nodiscard]] Options parse_options(std::span<char*> args);

}  // namespace shoal::vmm
