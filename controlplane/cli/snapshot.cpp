// A microVM that is driven to the moment of its snapshot.
#include "controlplane/cli/snapshot.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/installation.h"
#include "controlplane/cli/packing.h"
#include "controlplane/cli/vmm_process.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Longer lines are compared by their beginning: nobody waits for one.
constexpr std::size_t line_max_bytes = 65536;

// Looks for a line in a stream of bytes.
class LineFinder {
public:
    explicit LineFinder(std::optional<std::string> wanted) : wanted_{std::move(wanted)} {}

    // Whether the line is complete in these bytes or was before.
    bool find_in(std::string_view bytes) {
        for (const char byte : bytes) {
            if (byte == '\n') {
                found_ = found_ || line_ == wanted_;
                line_.clear();
            } else if (line_.size() < line_max_bytes) {
                line_ += byte;
            }
        }
        return found_;
    }

private:
    std::optional<std::string> wanted_;
    std::string line_;
    bool found_ = false;
};

// What there is, which goes to stdout; nothing at the end.
std::string copy_output(VmmProcess& vmm) {
    std::array<char, 4096> buffer;
    ssize_t size = -1;
    while ((size = ::read(vmm.output(), buffer.data(), buffer.size())) < 0) {
        if (errno != EINTR) {
            host::throw_os_error("reading the program's output");
        }
    }
    std::fwrite(buffer.data(), 1, static_cast<std::size_t>(size), stdout);
    std::fflush(stdout);
    return {buffer.data(), static_cast<std::size_t>(size)};
}

int milliseconds_until(Clock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
}

[[noreturn]] void fail_early(VmmProcess& vmm) {
    throw CliError("the program ended before it was ready, with exit code " +
                   std::to_string(vmm.wait()));
}

void wait_until_ready(VmmProcess& vmm, const SnapshotOptions& options) {
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>{options.timeout_s});
    LineFinder line{options.ready_line};
    // A descriptor of -1 is not looked at.
    std::array<pollfd, 2> watched{
        {{vmm.output(), POLLIN, 0}, {options.ready_line ? -1 : vmm.ready(), POLLIN, 0}}};
    while (true) {
        const int count = ::poll(watched.data(), watched.size(), milliseconds_until(deadline));
        if (count < 0 && errno != EINTR) {
            host::throw_os_error("poll");
        }
        if (count == 0) {
            std::array<char, 64> sentence;
            std::snprintf(sentence.data(), sentence.size(), "the program was not ready within %g s",
                          options.timeout_s);
            throw CliError(sentence.data());
        }
        if (count > 0 && watched[0].revents != 0) {
            const std::string bytes = copy_output(vmm);
            if (bytes.empty()) {
                fail_early(vmm);
            }
            if (line.find_in(bytes)) {
                return;
            }
        }
        if (count > 0 && (watched[1].revents & POLLIN) != 0) {
            return;
        }
    }
}

std::string boot_arguments(const SnapshotOptions& options, const PackedProgram& program) {
    return "console=ttyS0 quiet " + program_word(program.guest_path) +
           (program.root_image.empty() ? "" : " rootfstype=erofs") +
           (options.network ? network_words(*options.network) : "");
}

// Its path is each clone's own (vsock_override), so this one is gone once the template is made.
class VsockPath {
public:
    explicit VsockPath(const std::string& folder) : path_{folder + "/vsock"} {}
    ~VsockPath() { ::unlink(path_.c_str()); }
    VsockPath(const VsockPath&) = delete;
    VsockPath& operator=(const VsockPath&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

void start(VmmProcess& vmm, const SnapshotOptions& options, const PackedProgram& program,
           const VsockPath& vsock) {
    vmm.put("/machine-config",
            {{"vcpu_count", options.vcpus}, {"mem_size_mib", options.memory_mib}});
    vmm.put("/boot-source", {{"kernel_image_path", find_unikernel()},
                             {"initrd_path", descriptor_path(program.initramfs.archive.get())},
                             {"boot_args", boot_arguments(options, program)}});
    if (!program.root_image.empty()) {
        vmm.put("/drives/root",
                {{"drive_id", "root"},
                 {"is_root_device", true},
                 {"is_read_only", true},
                 {"path_on_host",
                  std::filesystem::absolute(program.root_image).lexically_normal().string()}});
    }
    if (options.network) {
        const NetworkOption network = network_of_copy(*options.network, 0);
        vmm.put(std::string{"/network-interfaces/"} + template_interface,
                {{"iface_id", template_interface},
                 {"host_dev_name", network.tap},
                 {"guest_mac", network.mac}});
    }
    if (options.vsock) {
        vmm.put("/vsock", {{"guest_cid", 3}, {"uds_path", vsock.path()}});
    }
    // By which copies give back what they do not use any more.
    vmm.put("/balloon",
            {{"amount_mib", 0}, {"deflate_on_oom", true}, {"free_page_reporting", true}});
    vmm.put("/actions", {{"action_type", "InstanceStart"}});
}

// What its VMM opens: the program may be anybody's.
std::vector<std::string> allowed_of(const SnapshotOptions& options, const PackedProgram& program) {
    std::vector<std::string> paths{options.folder, find_unikernel() + ",ro"};
    if (!program.root_image.empty()) {
        paths.push_back(program.root_image + ",ro");
    }
    return paths;
}

}  // namespace

std::string template_state(const std::string& folder) {
    return folder + "/state";
}

std::string template_memory(const std::string& folder) {
    return folder + "/memory";
}

void snapshot(const SnapshotOptions& options) {
    std::filesystem::create_directories(options.folder);
    const PackedProgram program = pack(options, FileBytes::copied);
    const VsockPath vsock{options.folder};
    VmmProcess vmm{find_vmm(), allowed_of(options, program)};
    start(vmm, options, program, vsock);
    wait_until_ready(vmm, options);
    vmm.patch("/vm", {{"state", "Paused"}});
    vmm.put("/snapshot/create", {{"snapshot_path", template_state(options.folder)},
                                 {"mem_file_path", template_memory(options.folder)},
                                 {"compression", options.compress ? "Zstd" : "None"}});
    // What was not written by now is in the snapshot.
    vmm.end();
    while (!copy_output(vmm).empty()) {
    }
}

}  // namespace shoal::cli
