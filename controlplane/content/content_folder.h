// ContentFolder: files that are named by the SHA-256 of what is in them.
#pragma once

#include <optional>
#include <string>

namespace shoal::content {

class ContentFolder {
public:
    // Created if it is missing. What an earlier shoald was writing is deleted. Throws
    // std::system_error.
    explicit ContentFolder(std::string path);

    // Of anything that is_digest(), whether it is there or not.
    [[nodiscard]] std::string path_of(const std::string& digest) const {
        return path_ + "/" + digest;
    }
    [[nodiscard]] bool has(const std::string& digest) const;

private:
    std::string path_;
};

// Deletes from a folder what a PartialFile leaves when its process is killed.
void delete_partials(const std::string& folder);

}  // namespace shoal::content
