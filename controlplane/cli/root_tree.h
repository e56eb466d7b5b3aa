// RootTree: which files of the host join those of --root in the microVM's file system.
//
// Each keeps the path that it has on the host, and the symbolic links that lead to it come along,
// so that a path means the same inside. Where --root has something at a path, that counts and not
// the host's. Nothing is read but names and metadata. Not thread-safe.
#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::cli {

class RootTree {
public:
    enum class Origin { root, host };

    struct Item {
        struct stat status {};
        Origin origin = Origin::host;
        std::string target;  // of a symbolic link
    };

    // Without symbolic links in its path.
    struct Resolved {
        std::string path;
        Item item;
    };

    // `root_fd` is the open directory --root, which is borrowed, or -1.
    explicit RootTree(int root_fd) noexcept : root_fd_{root_fd} {}

    // Where an absolute path leads; empty when there is no such file.
    [[nodiscard]] std::optional<Resolved> find(const std::string& path) const;
    // Adds the file or directory that an absolute path leads to, with the directories and links on
    // the way, but nothing below it. Empty, and nothing is added, when there is no such file.
    std::optional<Resolved> add(const std::string& path);
    // Adds all that is below a directory; links in it are followed. Throws CliError above 1,000,000
    // files.
    void add_below(const Resolved& directory);

    // Empty, with errno, when it cannot be opened.
    [[nodiscard]] host::UniqueFd open(const Resolved& file) const;

    [[nodiscard]] int root_fd() const noexcept { return root_fd_; }
    // By path, so that a directory comes before what is in it. Of --root there are none.
    [[nodiscard]] const std::map<std::string, Item>& items() const noexcept { return items_; }

private:
    using Way = std::vector<std::pair<std::string, Item>>;

    [[nodiscard]] std::optional<Resolved> resolve(const std::string& path, Way& way) const;
    [[nodiscard]] std::optional<Item> look(const std::string& path) const;
    void keep(const std::string& path, const Item& item);

    int root_fd_;
    std::map<std::string, Item> items_;
};

// The directory part of an absolute path: "/" for "/prog".
[[nodiscard]] std::string folder_of(const std::string& path);

}  // namespace shoal::cli
