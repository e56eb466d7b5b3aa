// The initramfs: the program's words first, then --root in the order of names, then the program.
#include "controlplane/cli/initramfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/cpio_writer.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr CpioMetadata private_directory{S_IFDIR | 0700, 0, 0, 2, 0};
constexpr CpioMetadata private_file{S_IFREG | 0400, 0, 0, 1, 0};
constexpr CpioMetadata public_directory{S_IFDIR | 0755, 0, 0, 2, 0};

void add_words(CpioWriter& archive, std::string_view path, std::span<const std::string> words) {
    std::string bytes;
    for (const std::string& word : words) {
        bytes.append(word.c_str(), word.size() + 1);
    }
    archive.add_file(path, private_file, std::as_bytes(std::span{bytes}));
}

host::UniqueFd open_at(int dir, const std::string& name, int flags, const std::string& path) {
    const int fd = ::openat(dir, name.c_str(), flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        host::throw_os_error("--root: cannot open " + path);
    }
    return host::UniqueFd{fd};
}

// Without "." and "..", sorted, so that the same directory makes the same archive.
std::vector<std::string> list_names(int dir, const std::string& path) {
    struct Close {
        void operator()(DIR* stream) const noexcept { ::closedir(stream); }
    };
    // fdopendir takes its descriptor over.
    const std::unique_ptr<DIR, Close> stream{::fdopendir(::fcntl(dir, F_DUPFD_CLOEXEC, 0))};
    if (stream == nullptr) {
        host::throw_os_error("--root: cannot list " + path);
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    std::ranges::sort(names);
    return names;
}

void add_symlink(CpioWriter& archive, int dir, const std::string& name, const std::string& path,
                 const struct stat& status) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
    if (size < 0) {
        host::throw_os_error("--root: cannot read the link " + path);
    }
    archive.add_symlink(path, CpioMetadata::from(status),
                        {target.data(), static_cast<std::size_t>(size)});
}

// NOLINTNEXTLINE(misc-no-recursion): PATH_MAX bounds the depth.
void add_tree(CpioWriter& archive, int dir, const std::string& path) {
    for (const std::string& name : list_names(dir, path)) {
        const std::string child = path.empty() ? name : path + "/" + name;
        struct stat status {};
        if (::fstatat(dir, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
            host::throw_os_error("--root: cannot look at " + child);
        }
        if (S_ISDIR(status.st_mode)) {
            const host::UniqueFd fd = open_at(dir, name, O_DIRECTORY, child);
            archive.add_directory(child, CpioMetadata::from(status));
            add_tree(archive, fd.get(), child);
        } else if (S_ISREG(status.st_mode)) {
            const host::UniqueFd fd = open_at(dir, name, O_NONBLOCK, child);
            archive.add_file(child, CpioMetadata::from(status), fd.get(),
                             static_cast<std::uint64_t>(status.st_size));
        } else if (S_ISLNK(status.st_mode)) {
            add_symlink(archive, dir, name, child, status);
        } else {
            std::fprintf(stderr,
                         "shoal: --root: %s is left out: it is no file, directory or link\n",
                         child.c_str());
        }
    }
}

// Where a path of the guest lies in the archive: under the deepest directory of --root that it
// goes through, whose own path may differ because of symbolic links.
struct Place {
    std::filesystem::path existing;  // relative to the root, empty for the root itself
    std::filesystem::path rest;      // directories to make, and the name
};

Place find_place(const std::string& root, const std::filesystem::path& guest_path) {
    const std::filesystem::path relative = guest_path.relative_path();
    if (root.empty()) {
        return {{}, relative};
    }
    Place place{{}, relative};
    const auto base = std::filesystem::canonical(root);
    while (place.rest.has_parent_path()) {
        const auto next = base / place.existing / *place.rest.begin();
        std::error_code error;
        const auto real = std::filesystem::canonical(next, error);
        if (error) {
            break;
        }
        const auto inside = real.lexically_relative(base);
        if (inside.empty() || *inside.begin() == "..") {
            throw CliError("--root: " + next.string() + " leads out of " + root + ", so " +
                           guest_path.string() + " cannot be put there");
        }
        place = {inside == "." ? std::filesystem::path{} : inside,
                 place.rest.lexically_relative(*place.rest.begin())};
    }
    return place;
}

void add_program(CpioWriter& archive, const std::string& root, const Program& program) {
    const Place place = find_place(root, program.guest_path);
    std::filesystem::path path = place.existing;
    for (const auto& name : place.rest.parent_path()) {
        path /= name;
        archive.add_directory(path.native(), public_directory);
    }
    path /= place.rest.filename();
    struct stat status {};
    host::check_os(::fstat(program.file.get(), &status), "fstat");
    archive.add_file(path.native(), CpioMetadata::from(status), program.file.get(),
                     static_cast<std::uint64_t>(status.st_size));
}

}  // namespace

host::UniqueFd make_initramfs(const InitramfsPlan& plan) {
    // Not close-on-exec: the microVM's process inherits it.
    host::UniqueFd memfd{host::check_os(::memfd_create("shoal-initramfs", 0), "memfd_create")};
    CpioWriter archive{memfd.get(), plan.limit_bytes};
    if (plan.root.empty()) {
        if (plan.below == Below::nothing) {
            archive.add_directory(".", public_directory);
        }
    } else {
        const host::UniqueFd root{::open(plan.root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        struct stat status {};
        if (!root || ::fstat(root.get(), &status) < 0) {
            host::throw_os_error("--root: cannot open " + plan.root);
        }
        archive.add_directory(".", CpioMetadata::from(status));
        add_tree(archive, root.get(), "");
    }
    archive.add_directory(".shoal", private_directory);
    add_words(archive, ".shoal/args", plan.args);
    add_words(archive, ".shoal/env", plan.env);
    if (plan.program->origin == ProgramOrigin::host) {
        add_program(archive, plan.root, *plan.program);
    }
    archive.finish();
    return memfd;
}

}  // namespace shoal::cli
