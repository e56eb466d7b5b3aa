// RootTree: resolves paths as the guest will, one name at a time.
#include "controlplane/cli/root_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

constexpr unsigned links_max = 40;  // path_resolution(7)
constexpr std::size_t items_max = 1'000'000;

// The names of a path, the last first. A ".." is left in, for whoever knows where it leads.
std::vector<std::string> reversed_names(const std::string& path) {
    std::vector<std::string> names;
    for (std::size_t end = path.size(); end > 0;) {
        const std::size_t slash = path.rfind('/', end - 1);
        const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
        if (end > start && path.compare(start, end - start, ".") != 0) {
            names.push_back(path.substr(start, end - start));
        }
        end = start == 0 ? 0 : start - 1;
    }
    return names;
}

std::optional<RootTree::Item> look_at(int dir, const char* path, RootTree::Origin origin) {
    RootTree::Item item{{}, origin, {}};
    if (::fstatat(dir, path, &item.status, AT_SYMLINK_NOFOLLOW) < 0) {
        return std::nullopt;
    }
    if (S_ISLNK(item.status.st_mode)) {
        std::array<char, PATH_MAX> target{};
        const ssize_t size = ::readlinkat(dir, path, target.data(), target.size());
        if (size <= 0) {
            return std::nullopt;
        }
        item.target.assign(target.data(), static_cast<std::size_t>(size));
    }
    return item;
}

}  // namespace

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// No name on the way to `path` is a link: those were followed before.
std::optional<RootTree::Item> RootTree::look(const std::string& path) const {
    if (const auto found = items_.find(path); found != items_.end()) {
        return found->second;
    }
    std::optional<Item> item;
    if (root_fd_ >= 0) {
        item = look_at(root_fd_, path.c_str() + 1, Origin::root);
    }
    return item ? item : look_at(AT_FDCWD, path.c_str(), Origin::host);
}

void RootTree::keep(const std::string& path, const Item& item) {
    if (item.origin == Origin::root) {
        return;
    }
    if (items_.size() == items_max) {
        throw CliError("there are more than " + std::to_string(items_max) +
                       " files to add to the microVM's root; the last is " + path);
    }
    items_.emplace(path, item);
}

// `way` gets every name that was passed, links included.
std::optional<RootTree::Resolved> RootTree::resolve(const std::string& path, Way& way) const {
    std::vector<std::string> pending = reversed_names(path);
    Resolved at{"", {}};
    at.item.status.st_mode = S_IFDIR;
    unsigned links = 0;
    while (!pending.empty()) {
        const std::string name = std::move(pending.back());
        pending.pop_back();
        if (!S_ISDIR(at.item.status.st_mode)) {
            return std::nullopt;
        }
        if (name == "..") {
            at.path.resize(at.path.empty() ? 0 : at.path.rfind('/'));
            continue;
        }
        const std::string child = at.path + "/" + name;
        auto item = look(child);
        if (!item) {
            return std::nullopt;
        }
        way.emplace_back(child, *item);
        if (!S_ISLNK(item->status.st_mode)) {
            at = {child, std::move(*item)};
            continue;
        }
        if (++links > links_max) {
            return std::nullopt;
        }
        if (item->target.front() == '/') {
            at.path.clear();
        }
        auto more = reversed_names(item->target);
        pending.insert(pending.end(), std::make_move_iterator(more.begin()),
                       std::make_move_iterator(more.end()));
    }
    return at;
}

std::optional<RootTree::Resolved> RootTree::find(const std::string& path) const {
    Way way;
    return resolve(path, way);
}

std::optional<RootTree::Resolved> RootTree::add(const std::string& path) {
    Way way;
    const auto found = resolve(path, way);
    if (found) {
        for (const auto& [passed, item] : way) {
            keep(passed, item);
        }
    }
    return found;
}

// NOLINTNEXTLINE(misc-no-recursion): PATH_MAX bounds the depth.
void RootTree::add_below(const Resolved& directory) {
    struct Close {
        void operator()(DIR* stream) const noexcept { ::closedir(stream); }
    };
    const std::unique_ptr<DIR, Close> stream{::opendir((directory.path + "/").c_str())};
    if (stream == nullptr) {
        throw CliError("cannot list " + directory.path + ": " + std::strerror(errno));
    }
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") {
            continue;
        }
        const std::string path = directory.path + "/" + name;
        if (items_.contains(path)) {
            continue;
        }
        auto item = look(path);
        if (!item) {
            continue;  // gone meanwhile
        }
        keep(path, *item);
        if (S_ISDIR(item->status.st_mode)) {
            add_below({path, std::move(*item)});
        } else if (S_ISLNK(item->status.st_mode)) {
            add(path);  // a link that leads nowhere stays one
        }
    }
}

host::UniqueFd RootTree::open(const Resolved& file) const {
    // O_NONBLOCK: a FIFO must not block us.
    constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    return host::UniqueFd{file.item.origin == Origin::root
                              ? ::openat(root_fd_, file.path.c_str() + 1, flags)
                              : ::open(file.path.c_str(), flags)};
}

}  // namespace shoal::cli
