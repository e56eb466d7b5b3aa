// shoal-vmm: runs one microVM.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "devices/abi/address_map.h"
#include "devices/host/clock.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/machine/guest_memory.h"
#include "vmm/api_mode.h"
#include "vmm/boot/boot.h"
#include "vmm/boot/image_file.h"
#include "vmm/direct_mode.h"
#include "vmm/fatal_signals.h"
#include "vmm/machine/descriptor_limit.h"
#include "vmm/options.h"
#include "vmm/state/section.h"
#include "vmm/state/snapshot_files.h"

namespace {

using namespace shoal;

// The number of a standard stream that is closed would go to the next file that is opened, a disk
// say, and the guest's output with it.
void fill_standard_streams() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) {
            host::check_os(::open("/dev/null", O_RDWR), "opening /dev/null");  // gets this number
        }
    }
}

// Loads it into memory of which only what is written to is taken, as much as lies below the hole.
void check_kernel(const std::string& path) {
    const machine::GuestMemory memory{abi::ram_hole_start};
    const boot::ImageFile kernel{"kernel", path};
    boot::BootSource source;
    source.kernel = &kernel;
    static_cast<void>(boot::load(memory, source, {}));
}

int run(const vmm::Options& options, std::uint64_t now_us) {
    if (const auto* direct = std::get_if<vmm::DirectOptions>(&options)) {
        return vmm::run_direct(*direct, now_us);
    }
    if (const auto* api = std::get_if<vmm::ApiOptions>(&options)) {
        return vmm::run_with_api(*api, now_us);
    }
    if (const auto* rebase = std::get_if<vmm::RebaseOptions>(&options)) {
        state::rebase_memory(rebase->base, rebase->difference);
        return 0;
    }
    if (const auto* describe = std::get_if<vmm::DescribeOptions>(&options)) {
        static_cast<void>(state::read_state(describe->state));
        std::puts(state::version_text().c_str());  // no other is read
        return 0;
    }
    if (const auto* check = std::get_if<vmm::CheckOptions>(&options)) {
        check_kernel(check->kernel);
        return 0;
    }
    std::fputs(std::get<vmm::PrintOptions>(options).text.c_str(), stdout);
    return 0;
}

int fail(const std::exception& error, vmm::ExitCode code) {
    std::fprintf(stderr, "shoal-vmm: %s\n", error.what());
    host::log(host::LogLevel::error, error.what());
    return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t now_us = host::monotonic_us();
    try {
        fill_standard_streams();
        vmm::handle_fatal_signals();
        vmm::raise_descriptor_limit();
        return run(vmm::parse_options({argv, static_cast<std::size_t>(argc)}), now_us);
    } catch (const vmm::OptionsError& error) {
        return fail(error, error.code);
    } catch (const std::exception& error) {
        return fail(error, vmm::ExitCode::failure);
    }
}
