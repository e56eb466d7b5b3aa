// Options into a machine, and what is said when it has ended.
#include "vmm/direct_mode.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/abi/address_map.h"
#include "devices/backend/tap.h"
#include "devices/host/disk_word.h"
#include "devices/host/write_signals.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/block.h"
#include "devices/virtio/net.h"
#include "devices/virtio/vsock.h"
#include "vmm/boot/command_line.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/initrd_map.h"
#include "vmm/jail/jail.h"
#include "vmm/machine/descriptor_limit.h"
#include "vmm/machine/machine.h"

namespace shoal::vmm {
namespace {

void check(const DirectOptions& options) {
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

std::string kernel_command_line(const DirectOptions& options) {
    const bool timed = options.timing || options.boot_timer;
    std::string line = boot::with_words(options.command_line, timed ? "shoal.boot_timer=1" : "");
    return boot::with_words(line,
                            options.root_image.empty() ? "" : "root=/dev/vda rootfstype=erofs ro");
}

// fsync(2) in the guest means that the host's disk has it.
virtio::BlockConfig disk_config(host::DiskWord word) {
    virtio::BlockConfig config;
    config.disk.path = std::move(word.path);
    config.disk.access =
        word.is_read_only ? backend::DiskAccess::read_only : backend::DiskAccess::read_write;
    config.disk.caching =
        word.is_direct ? backend::DiskCaching::direct : backend::DiskCaching::page_cache;
    config.cache = virtio::CacheType::writeback;
    return config;
}

std::vector<std::unique_ptr<virtio::Block>> open_disks(const DirectOptions& options,
                                                       host::Reactor& reactor) {
    std::vector<std::unique_ptr<virtio::Block>> disks;
    const auto open = [&](host::DiskWord word) {
        disks.push_back(std::make_unique<virtio::Block>(disk_config(std::move(word)), reactor));
    };
    if (!options.root_image.empty()) {
        open({options.root_image, true, false});
    }
    for (const std::string& word : options.disks) {
        open(host::parse_disk_word(word));
    }
    return disks;
}

std::vector<DeviceToAttach> devices_of(const std::vector<std::unique_ptr<virtio::Block>>& disks) {
    std::vector<DeviceToAttach> devices;
    devices.reserve(disks.size());
    for (const auto& disk : disks) {
        devices.push_back({disk.get()});
    }
    return devices;
}

std::optional<boot::ImageFile> open_initrd(const std::string& path) {
    return path.empty() ? std::nullopt
                        : std::optional<boot::ImageFile>{std::in_place, "initrd", path};
}

std::optional<virtio::Net> open_network(const DirectOptions& options, EventLoop& loop) {
    return options.tap.empty() ? std::nullopt
                               : std::optional<virtio::Net>{
                                     std::in_place, virtio::NetConfig{options.mac, {}, {}, {}},
                                     backend::Tap::open(options.tap), loop.reactor()};
}

// The guest's cid is the smallest that there is.
std::optional<virtio::Vsock> open_vsock(const DirectOptions& options, EventLoop& loop) {
    return options.vsock.empty()
               ? std::nullopt
               : std::optional<virtio::Vsock>{
                     std::in_place,
                     virtio::VsockConfig{abi::virtio::vsock::min_guest_cid, options.vsock},
                     loop.reactor(), vsock_limits()};
}

std::optional<virtio::Balloon> make_balloon(const DirectOptions& options,
                                            const machine::GuestMemory& memory, EventLoop& loop) {
    virtio::BalloonConfig config;
    config.free_page_reporting = true;
    return options.balloon
               ? std::optional<virtio::Balloon>{std::in_place, memory, loop.reactor(), config}
               : std::nullopt;
}

std::optional<boot::InitrdMap> open_initrd_map(const std::string& path) {
    return path.empty() ? std::nullopt : std::optional<boot::InitrdMap>{std::in_place, path};
}

// What ends the guest from outside.
void watch_ends(EventLoop& loop, Machine& machine, double timeout_seconds) {
    loop.on_signals({SIGTERM, SIGINT, SIGHUP},
                    [&machine](int number) { machine.end(ending_by_signal(number)); });
    if (timeout_seconds > 0) {
        std::array<char, 64> sentence;
        std::snprintf(sentence.data(), sentence.size(), "the time limit of %g s is reached",
                      timeout_seconds);
        const std::chrono::duration<double> limit{timeout_seconds};
        loop.after(std::chrono::duration_cast<std::chrono::nanoseconds>(limit),
                   [&machine, sentence] {
                       machine.end({static_cast<int>(ExitCode::timeout), sentence.data()});
                   });
    }
}

void print_timing(const Timing& timing, std::uint64_t start_us) {
    const auto since = [start_us](std::uint64_t us) {
        return static_cast<unsigned long long>(us == 0 ? 0 : us - start_us);
    };
    std::fprintf(stderr,
                 "process start 0 us, VM created %llu us, first guest instruction %llu us, "
                 "program's first instruction %llu us, exit %llu us\n",
                 since(timing.vm_created_us), since(timing.first_instruction_us),
                 since(timing.program_started_us), since(timing.ended_us));
}

}  // namespace

int run_direct(const DirectOptions& options, std::uint64_t now_us) {
    const std::uint64_t start_us = options.start_time_us != 0 ? options.start_time_us : now_us;
    check(options);
    host::ignore_write_signals();
    install_kick_signal();
    const kvm::Kvm kvm;
    const boot::ImageFile kernel{"kernel", options.kernel};
    const auto initrd = open_initrd(options.initrd);
    const auto initrd_map = open_initrd_map(options.initrd_map);
    MachineConfig config;
    config.vcpu_count = options.vcpus;
    const jail::Jail jail{options.jail};
    config.on_vcpu_thread = [&jail] { jail.enter(jail::Role::vcpu); };
    config.console = options.console;
    config.boot = {&kernel, initrd ? &*initrd : nullptr, kernel_command_line(options),
                   initrd_map ? &*initrd_map : nullptr};
    EventLoop loop;
    const machine::GuestMemory memory{options.memory_mib << 20};
    const auto disks = open_disks(options, loop.reactor());
    auto network = open_network(options, loop);
    auto devices = devices_of(disks);
    if (network) {
        devices.push_back({&*network});
    }
    auto vsock = open_vsock(options, loop);
    if (vsock) {
        devices.push_back({&*vsock});
    }
    auto balloon = make_balloon(options, memory, loop);
    if (balloon) {
        devices.push_back({&*balloon});
    }
    Machine machine{VmShell{kvm, memory, {options.vcpus}}, loop, memory, config, devices};
    watch_ends(loop, machine, options.timeout_seconds);
    jail.enter(jail::Role::direct);
    machine.start();
    loop.run();
    const Ending ending = machine.finish();
    if (!ending.sentence.empty()) {
        std::fprintf(stderr, "shoal-vmm: %s\n", ending.sentence.c_str());
    }
    const Timing& timing = machine.timing();
    if (options.boot_timer && timing.program_started_us != 0) {
        std::fprintf(stderr, "shoal-vmm: boot time %llu us\n",
                     static_cast<unsigned long long>(timing.program_started_us - start_us));
    }
    if (options.timing) {
        print_timing(timing, start_us);
    }
    return ending.code;
}

}  // namespace shoal::vmm
