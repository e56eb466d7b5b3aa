// From the command line to an initramfs.
#include "controlplane/cli/packing.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/gather.h"
#include "controlplane/cli/installation.h"
#include "controlplane/cli/program.h"
#include "controlplane/cli/root_tree.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t bytes_per_mib = 1ULL << 20;

std::vector<std::string> guest_environment(const ProgramOptions& options) {
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

// An image is not looked into here: the unikernel looks for the program, and takes a path from the
// root.
Program find_in(const Root& root, const std::string& workdir, const std::string& name) {
    if (!root.image.empty()) {
        const bool is_relative = !name.starts_with('/') && name.find('/') != std::string::npos;
        return {is_relative ? workdir + "/" + name : name, {}, ProgramOrigin::root};
    }
    return find_program(name, root.fd.get());
}

}  // namespace

PackedProgram pack(const ProgramOptions& options, FileBytes large_files) {
    const Root root = open_root(options.root);
    const Program program = find_in(root, options.workdir, options.program);

    std::vector<std::string> args{options.program};
    args.insert(args.end(), options.words.begin(), options.words.end());
    const std::string agent = options.exec ? find_helper("shoal-exec-agent") : "";
    if (options.exec) {
        args.insert(args.begin(), {"shoal-exec-agent", program.guest_path});
    }
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
    return {
        options.exec ? exec_agent_path : program.guest_path,
        make_initramfs({root.folder, &tree, args, env, options.workdir, limit_bytes,
                        root.image.empty() ? Below::nothing : Below::image, large_files, agent}),
        root.image};
}

// The kernel takes a quoted word as one; what it cannot carry is refused.
std::string program_word(const std::string& guest_path) {
    if (guest_path.find('"') != std::string::npos || guest_path.find('\n') != std::string::npos) {
        throw CliError("the program's path " + guest_path + " has a quote or a line end in it");
    }
    const bool quoted = guest_path.find_first_of(" \t") != std::string::npos;
    return "rdinit=" + (quoted ? '"' + guest_path + '"' : guest_path);
}

}  // namespace shoal::cli
