// `shoal run`: the words for shoal-vmm, and the exec.
#include "controlplane/cli/run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/gather.h"
#include "controlplane/cli/initramfs.h"
#include "controlplane/cli/program.h"
#include "controlplane/cli/root_tree.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t bytes_per_mib = 1ULL << 20;

std::string own_folder() {
    std::array<char, 4096> path{};
    const ssize_t size = host::check_os(::readlink("/proc/self/exe", path.data(), path.size()),
                                        "reading /proc/self/exe");
    const std::string_view text{path.data(), static_cast<std::size_t>(size)};
    return std::string{text.substr(0, text.rfind('/'))};
}

std::string find_vmm(const std::string& folder) {
    const char* chosen = std::getenv("SHOAL_VMM");
    std::string path = chosen != nullptr ? chosen : folder + "/shoal-vmm";
    if (::access(path.c_str(), X_OK) < 0) {
        throw CliError("there is no shoal-vmm to run at " + path);
    }
    return path;
}

std::string find_unikernel(const std::string& folder) {
    if (const char* chosen = std::getenv("SHOAL_GUEST")) {
        return chosen;
    }
    const std::string built = folder + "/guest/shoal.elf";
    const std::string installed = folder + "/../lib/shoal/shoal.elf";
    for (const std::string& path : {built, installed}) {
        if (::access(path.c_str(), R_OK) == 0) {
            return path;
        }
    }
    throw CliError("there is no unikernel at " + built + " or " + installed);
}

std::string kernel_command_line(const RunOptions& options, const std::string& program_path) {
    std::string line = "console=hvc0 quiet";
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
    // The kernel takes a quoted word as one; what it cannot carry is refused.
    if (program_path.find('"') != std::string::npos ||
        program_path.find('\n') != std::string::npos) {
        throw CliError("the program's path " + program_path + " has a quote or a line end in it");
    }
    const bool quoted = program_path.find_first_of(" \t") != std::string::npos;
    return line + " rdinit=" + (quoted ? '"' + program_path + '"' : program_path);
}

std::vector<std::string> guest_environment(const RunOptions& options) {
    std::vector<std::string> env{std::string{"PATH="} + guest_search_path, "HOME=/"};
    if (const char* terminal = std::getenv("TERM")) {
        env.push_back(std::string{"TERM="} + terminal);
    }
    for (const std::string& word : options.env) {
        const std::string key = word.substr(0, word.find('=') + 1);
        std::erase_if(env, [&](const std::string& set) { return set.starts_with(key); });
        env.push_back(word);
    }
    return env;
}

std::string descriptor_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
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
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    ::execv(argv.front(), argv.data());
    host::throw_os_error("cannot run " + words.front());
}

// What is there before the program's words are added.
struct Root {
    std::string folder;  // empty: none
    std::string image;   // empty: none
    host::UniqueFd fd;   // of the folder
};

Root open_root(const std::string& path) {
    if (path.empty()) {
        return {};
    }
    host::UniqueFd fd{::open(path.c_str(), O_PATH | O_CLOEXEC)};
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) < 0) {
        host::throw_os_error("--root: cannot open " + path);
    }
    if (S_ISDIR(status.st_mode)) {
        return {path, {}, std::move(fd)};
    }
    return {{}, path, {}};
}

// An image is not looked into here: the unikernel looks for the program.
Program find_in(const Root& root, const std::string& name) {
    if (!root.image.empty()) {
        return {name, {}, ProgramOrigin::root};
    }
    return find_program(name, root.fd.get());
}

}  // namespace

void run(const RunOptions& options, std::uint64_t started_us) {
    const Root root = open_root(options.root);
    const Program program = find_in(root, options.program);

    std::vector<std::string> args{options.program};
    args.insert(args.end(), options.words.begin(), options.words.end());
    const std::vector<std::string> env = guest_environment(options);
    std::uint64_t limit_bytes = 0;
    if (__builtin_mul_overflow(options.memory_mib, bytes_per_mib, &limit_bytes)) {
        throw CliError("memory of " + std::to_string(options.memory_mib) + " MiB is too much");
    }
    RootTree tree{root.fd.get()};
    if (root.image.empty()) {
        gather(tree, {program.guest_path, options.program, options.with, env,
                      options.verbose ? Verbosity::verbose : Verbosity::quiet});
    } else if (!options.with.empty()) {
        throw CliError("--with adds to a folder, not to the image " + root.image);
    }
    const Initramfs initramfs =
        make_initramfs({root.folder, &tree, args, env, limit_bytes,
                        root.image.empty() ? Below::nothing : Below::image});

    const std::string folder = own_folder();
    const std::string vmm = find_vmm(folder);
    const std::string unikernel = find_unikernel(folder);
    std::vector<std::string> words = vmm_words(options, vmm, unikernel, initramfs.archive.get());
    words.insert(words.end(), {"--cmdline", kernel_command_line(options, program.guest_path)});
    if (initramfs.map) {
        words.insert(words.end(), {"--initrd-map", descriptor_path(initramfs.map.get())});
    }
    if (!root.image.empty()) {
        words.insert(words.end(), {"--root", root.image});
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
