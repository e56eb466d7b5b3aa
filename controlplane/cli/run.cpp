// `shoal run`: the words for shoal-vmm, and the exec.
#include "controlplane/cli/run.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "controlplane/cli/installation.h"
#include "controlplane/cli/packing.h"
#include "controlplane/cli/vmm_config.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

std::string kernel_command_line(const RunOptions& options, const std::string& program_path) {
    std::string line = options.api_socket.empty() ? "console=hvc0 quiet" : "console=ttyS0 quiet";
    std::string terminals;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::isatty(fd) == 1) {
            terminals += std::to_string(fd);
        }
    }
    if (!terminals.empty()) {
        line += " shoal.tty=" + terminals;
    }
    if (options.trace_syscalls) {
        line += " shoal.trace_syscalls=1";
    }
    if (options.network) {
        line += network_words(*options.network);
    }
    return line + " " + program_word(program_path);
}

std::vector<std::string> vmm_words(const RunOptions& options, const std::string& vmm,
                                   const std::string& unikernel, int initramfs) {
    return {vmm,
            "--kernel",
            unikernel,
            "--initrd",
            descriptor_path(initramfs),
            "--memory",
            std::to_string(options.memory_mib),
            "--vcpus",
            std::to_string(options.vcpus),
            "--console",
            "virtio"};
}

[[noreturn]] void become(std::vector<std::string>& words) {
    exec(words);
    host::throw_os_error("cannot run " + words.front());
}

// The configuration as a file that only this process's successor has.
host::UniqueFd config_file(const std::string& text) {
    host::UniqueFd file{host::check_os(::memfd_create("microvm.json", 0), "memfd_create")};
    for (std::size_t at = 0; at < text.size();) {
        at += static_cast<std::size_t>(host::check_os(
            ::write(file.get(), text.data() + at, text.size() - at), "writing the configuration"));
    }
    return file;
}

[[noreturn]] void run_config(const RunOptions& options, const BootFiles& boot) {
    const host::UniqueFd config = config_file(vmm_config(options, boot));
    std::vector<std::string> words{find_vmm(), "--config-file", descriptor_path(config.get()),
                                   "--level", "Warning"};
    if (options.api_socket.empty()) {
        words.emplace_back("--no-api");
    } else {
        words.insert(words.end(), {"--api-sock", options.api_socket});
    }
    if (!options.fence.empty()) {
        words.insert(words.end(), {"--fence", options.fence});
    }
    const auto allowed = allow_words(options, boot);
    words.insert(words.end(), allowed.begin(), allowed.end());
    become(words);
}

[[noreturn]] void run_with_api(const RunOptions& options) {
    const PackedProgram program = pack(options, FileBytes::copied);
    std::string line = kernel_command_line(options, program.guest_path);
    if (!program.root_image.empty()) {
        line += " rootfstype=erofs";
    }
    run_config(options, {find_unikernel(), descriptor_path(program.initramfs.archive.get()),
                         program.root_image, line});
}

// Always by a configuration, so that it ends with the same codes whether it has an API or not. Our
// words come first: of two that contradict one another Linux takes the last one.
[[noreturn]] void run_kernel(const RunOptions& options) {
    std::string line = options.root.empty() ? "" : "root=/dev/vda rootfstype=erofs ro";
    if (options.network) {
        line += network_words(*options.network);
    }
    line += (line.empty() ? "" : " ") + options.cmdline;
    run_config(options, {options.kernel, options.initramfs, options.root, line, RootDevice::plain});
}

}  // namespace

void run(const RunOptions& options, std::uint64_t started_us) {
    if (!options.kernel.empty()) {
        run_kernel(options);
    }
    if (!options.api_socket.empty()) {
        run_with_api(options);
    }
    const PackedProgram program = pack(options, FileBytes::mapped);
    const std::string vmm = find_vmm();
    std::vector<std::string> words =
        vmm_words(options, vmm, find_unikernel(), program.initramfs.archive.get());
    words.insert(words.end(), {"--cmdline", kernel_command_line(options, program.guest_path)});
    if (program.initramfs.map) {
        words.insert(words.end(), {"--initrd-map", descriptor_path(program.initramfs.map.get())});
    }
    if (!program.root_image.empty()) {
        words.insert(words.end(), {"--root", program.root_image});
    }
    for (const std::string& disk : options.disks) {
        words.insert(words.end(), {"--disk", disk});
    }
    if (options.network) {
        words.insert(words.end(), {"--tap", options.network->tap});
        if (!options.network->mac.empty()) {
            words.insert(words.end(), {"--mac", options.network->mac});
        }
    }
    if (!options.vsock.empty()) {
        words.insert(words.end(), {"--vsock", options.vsock});
    }
    words.push_back("--balloon");
    if (!options.timeout_s.empty()) {
        words.insert(words.end(), {"--timeout", options.timeout_s});
    }
    if (options.timing) {
        words.insert(words.end(), {"--timing", "--start-time-us", std::to_string(started_us)});
    }
    become(words);
}

}  // namespace shoal::cli
