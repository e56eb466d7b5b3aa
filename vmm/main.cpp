// shoal-vmm: runs one microVM.
#include <CLI/CLI.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "devices/abi/address_map.h"
#include "devices/host/version.h"
#include "vmm/boot/command_line.h"
#include "vmm/boot/image_file.h"
#include "vmm/machine/machine.h"

namespace {

using namespace shoal;

struct Options {
    std::string kernel;
    std::string initrd;
    std::string command_line;
    std::uint64_t memory_mib = 128;
    std::uint32_t vcpus = 1;
    vmm::Console console = vmm::Console::serial;
    double timeout_seconds = 0;
    bool timing = false;
    bool boot_timer = false;
    std::uint64_t start_time_us = 0;
};

void define(CLI::App& app, Options& options) {
    app.add_option("--kernel", options.kernel, "Kernel: ELF with a PVH note, ELF, or bzImage")
        ->required()
        ->type_name("FILE");
    app.add_option("--initrd", options.initrd, "Initial file system, given to the kernel")
        ->type_name("FILE");
    app.add_option("--cmdline", options.command_line, "Kernel command line")->type_name("TEXT");
    app.add_option("--memory", options.memory_mib, "Guest memory in MiB")
        ->capture_default_str()
        ->type_name("MIB");
    app.add_option("--vcpus", options.vcpus, "Virtual CPUs, 1 to 32")
        ->capture_default_str()
        ->type_name("N");
    app.add_option("--console", options.console,
                   "Where stdin and stdout lead: serial, virtio (and stderr too) or none")
        ->transform(CLI::CheckedTransformer(
            std::map<std::string, vmm::Console>{{"serial", vmm::Console::serial},
                                                {"virtio", vmm::Console::virtio},
                                                {"none", vmm::Console::none}}))
        ->type_name("KIND");
    app.add_option("--timeout", options.timeout_seconds, "End the guest after so many seconds")
        ->check(CLI::PositiveNumber)
        ->type_name("SECONDS");
    app.add_flag("--timing", options.timing, "Print when what happened, in microseconds");
    app.add_flag("--boot-timer", options.boot_timer, "Print when the guest's program started");
    app.add_option("--start-time-us", options.start_time_us,
                   "What --timing counts from (CLOCK_MONOTONIC)")
        ->type_name("US");
    app.set_version_flag("--version", std::string{"shoal-vmm "} + host::version);
}

void check(const Options& options) {
    const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
    const std::uint64_t host_mib = pages * abi::page_size >> 20;
    if (options.memory_mib == 0 || options.memory_mib > host_mib) {
        throw std::runtime_error("--memory " + std::to_string(options.memory_mib) + ": give 1 to " +
                                 std::to_string(host_mib) + " MiB, what this host has");
    }
    if (options.vcpus == 0 || options.vcpus > abi::max_vcpus) {
        throw std::runtime_error("--vcpus " + std::to_string(options.vcpus) + ": give 1 to " +
                                 std::to_string(abi::max_vcpus));
    }
}

std::string kernel_command_line(const Options& options) {
    const bool timed = options.timing || options.boot_timer;
    return boot::with_words(options.command_line, timed ? "shoal.boot_timer=1" : "");
}

vmm::MachineConfig machine_config(const Options& options) {
    vmm::MachineConfig config;
    config.vcpu_count = options.vcpus;
    config.console = options.console;
    return config;
}

void print_timing(const vmm::Timing& timing, std::uint64_t start_us) {
    const auto since = [start_us](std::uint64_t us) {
        return static_cast<unsigned long long>(us == 0 ? 0 : us - start_us);
    };
    std::fprintf(stderr,
                 "process start 0 us, VM created %llu us, first guest instruction %llu us, "
                 "program's first instruction %llu us, exit %llu us\n",
                 since(timing.vm_created_us), since(timing.first_instruction_us),
                 since(timing.program_started_us), since(timing.ended_us));
}

std::optional<boot::ImageFile> open_initrd(const std::string& path) {
    return path.empty() ? std::nullopt
                        : std::optional<boot::ImageFile>{std::in_place, "initrd", path};
}

// What ends the guest from outside.
void watch_ends(vmm::EventLoop& loop, vmm::Machine& machine, double timeout_seconds) {
    loop.on_signals({SIGTERM, SIGINT, SIGHUP}, [&machine](int number) {
        if (number == SIGINT) {
            machine.end(vmm::ExitCode::interrupted, "ended by SIGINT");
        } else {
            machine.end(vmm::ExitCode::terminated,
                        number == SIGTERM ? "ended by SIGTERM" : "ended by SIGHUP");
        }
    });
    if (timeout_seconds > 0) {
        std::array<char, 64> sentence;
        std::snprintf(sentence.data(), sentence.size(), "the time limit of %g s is reached",
                      timeout_seconds);
        const std::chrono::duration<double> limit{timeout_seconds};
        loop.after(std::chrono::duration_cast<std::chrono::nanoseconds>(limit),
                   [&machine, sentence] { machine.end(vmm::ExitCode::timeout, sentence.data()); });
    }
}

int run(const Options& options, std::uint64_t start_us) {
    check(options);
    ::signal(SIGPIPE, SIG_IGN);
    vmm::install_kick_signal();
    const kvm::Kvm kvm;
    const boot::ImageFile kernel{"kernel", options.kernel};
    const auto initrd = open_initrd(options.initrd);
    vmm::MachineConfig config = machine_config(options);
    config.boot = {&kernel, initrd ? &*initrd : nullptr, kernel_command_line(options)};
    vmm::EventLoop loop;
    const machine::GuestMemory memory{options.memory_mib << 20};
    vmm::Machine machine{kvm, loop, memory, config};
    watch_ends(loop, machine, options.timeout_seconds);
    machine.start();
    loop.run();
    const vmm::Ending ending = machine.finish();
    if (!ending.sentence.empty()) {
        std::fprintf(stderr, "shoal-vmm: %s\n", ending.sentence.c_str());
    }
    const vmm::Timing& timing = machine.timing();
    if (options.boot_timer && timing.program_started_us != 0) {
        std::fprintf(stderr, "shoal-vmm: boot time %llu us\n",
                     static_cast<unsigned long long>(timing.program_started_us - start_us));
    }
    if (options.timing) {
        print_timing(timing, start_us);
    }
    return ending.code;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t now_us = vmm::monotonic_us();
    Options options;
    CLI::App app{"Runs one microVM on KVM."};
    define(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {
            return app.exit(error);
        }
        std::fprintf(stderr, "shoal-vmm: %s\n", error.what());
        return static_cast<int>(vmm::ExitCode::bad_arguments);
    }
    try {
        return run(options, options.start_time_us != 0 ? options.start_time_us : now_us);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "shoal-vmm: %s\n", error.what());
        return static_cast<int>(vmm::ExitCode::failure);
    }
}
