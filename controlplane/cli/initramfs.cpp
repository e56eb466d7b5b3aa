// The initramfs: --root in the order of names, then the program's words, then what was gathered.
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
#include <memory>
#include <string_view>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/cpio_writer.h"
#include "controlplane/cli/ready_tables.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t page_size = 4096;
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

// Smaller files are copied: a mapping costs about as much.
constexpr std::uint64_t mapped_file_min = 16384;
// The kernel allows 65,530 mappings in a process (vm.max_map_count).
constexpr std::size_t mapped_files_max = 10'000;
// Smaller microVMs need the memory more than the time.
constexpr std::uint64_t ready_tables_from = 64ULL << 20;

class Packer {
public:
    Packer(const InitramfsPlan& plan, int archive)
        : plan_{plan}, archive_{archive, plan.limit_bytes} {}

    // Gives the list for --initrd-map.
    std::string pack();

private:
    void add_root();
    void add_exec_agent();
    void add_item(const std::string& path, const RootTree::Item& item);
    void add_file(const std::string& path, const RootTree::Item& item);

    const InitramfsPlan& plan_;
    CpioWriter archive_;
    std::string map_;
    std::size_t mapped_ = 0;
    ReadyTables ready_tables_{archive_};
};

void Packer::add_file(const std::string& path, const RootTree::Item& item) {
    const host::UniqueFd file = plan_.tree->open({path, item});
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) < 0) {
        host::throw_os_error("cannot open " + path);
    }
    const std::string_view relative = std::string_view{path}.substr(1);
    const auto metadata = CpioMetadata::from(status);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (plan_.large_files == FileBytes::copied || size < mapped_file_min ||
        mapped_ == mapped_files_max) {
        archive_.add_file(relative, metadata, file.get(), size);
        return;
    }
    if (const auto at = archive_.add_file_with_hole(relative, metadata, file.get(), size)) {
        ++mapped_;
        map_ += std::to_string(*at) + " " + std::to_string(size / page_size * page_size) + " " +
                path + std::string{'\0'};
        if (plan_.limit_bytes >= ready_tables_from) {
            ready_tables_.add(file.get(), path, *at, size);
        }
    }
}

void Packer::add_item(const std::string& path, const RootTree::Item& item) {
    const std::string_view relative = std::string_view{path}.substr(1);
    if (S_ISDIR(item.status.st_mode)) {
        archive_.add_directory(relative, CpioMetadata::from(item.status));
    } else if (S_ISLNK(item.status.st_mode)) {
        archive_.add_symlink(relative, CpioMetadata::from(item.status), item.target);
    } else if (S_ISREG(item.status.st_mode)) {
        add_file(path, item);
    } else {
        std::fprintf(stderr, "shoal: %s is left out: it is no file, directory or link\n",
                     path.c_str());
    }
}

void Packer::add_root() {
    if (plan_.root.empty()) {
        if (plan_.below == Below::nothing) {
            archive_.add_directory(".", public_directory);
        }
        return;
    }
    const host::UniqueFd root{::open(plan_.root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    struct stat status {};
    if (!root || ::fstat(root.get(), &status) < 0) {
        host::throw_os_error("--root: cannot open " + plan_.root);
    }
    archive_.add_directory(".", CpioMetadata::from(status));
    add_tree(archive_, root.get(), "");
}

void Packer::add_exec_agent() {
    const host::UniqueFd agent{::open(plan_.exec_agent.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    if (!agent || ::fstat(agent.get(), &status) < 0) {
        host::throw_os_error("cannot open " + plan_.exec_agent);
    }
    archive_.add_file(std::string_view{exec_agent_path}.substr(1), CpioMetadata::from(status),
                      agent.get(), static_cast<std::uint64_t>(status.st_size));
}

std::string Packer::pack() {
    add_root();
    if (!plan_.exec_agent.empty()) {
        add_exec_agent();
    }
    archive_.add_directory(".shoal", private_directory);
    add_words(archive_, ".shoal/args", plan_.args);
    add_words(archive_, ".shoal/env", plan_.env);
    if (!plan_.workdir.empty()) {
        add_words(archive_, ".shoal/cwd", {&plan_.workdir, 1});
    }
    for (const auto& [path, item] : plan_.tree->items()) {
        add_item(path, item);
    }
    archive_.finish();
    return map_ + ready_tables_.lines();
}

// Not close-on-exec: the microVM's process inherits it.
host::UniqueFd make_memfd(const char* name) {
    return host::UniqueFd{host::check_os(::memfd_create(name, 0), "memfd_create")};
}

}  // namespace

Initramfs make_initramfs(const InitramfsPlan& plan) {
    Initramfs made{make_memfd("shoal-initramfs"), {}};
    const std::string map = Packer{plan, made.archive.get()}.pack();
    if (!map.empty()) {
        made.map = make_memfd("shoal-initramfs-map");
        const ssize_t written = ::write(made.map.get(), map.data(), map.size());
        if (written != static_cast<ssize_t>(map.size())) {
            host::throw_os_error("writing the list of mapped files");
        }
    }
    return made;
}

}  // namespace shoal::cli
