// How command lines name a disk: PATH[,ro][,direct], the words behind the path in any order.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace shoal::host {

struct DiskWord {
    std::string path;
    bool is_read_only = false;
    bool is_direct = false;  // past the host's page cache, by O_DIRECT
};

// From behind, since a path may have commas.
[[nodiscard]] inline DiskWord parse_disk_word(std::string word) {
    DiskWord disk;
    const auto take = [&word](std::string_view suffix, bool& is_said) {
        if (is_said || !word.ends_with(suffix)) {
            return false;
        }
        word.resize(word.size() - suffix.size());
        return is_said = true;
    };
    while (take(",ro", disk.is_read_only) || take(",direct", disk.is_direct)) {
    }
    disk.path = std::move(word);
    return disk;
}

}  // namespace shoal::host
