// No index: the names say it all.
#include "controlplane/content/content_folder.h"

#include <unistd.h>

#include <filesystem>

#include "controlplane/content/save.h"

namespace shoal::content {

namespace fs = std::filesystem;

ContentFolder::ContentFolder(std::string path) : path_{std::move(path)} {
    fs::create_directories(path_);
    delete_partials(path_);
}

bool ContentFolder::has(const std::string& digest) const {
    return ::access(path_of(digest).c_str(), R_OK) == 0;
}

void delete_partials(const std::string& folder) {
    for (const auto& entry : fs::directory_iterator{folder}) {
        if (entry.path().filename().string().starts_with(partial_prefix)) {
            fs::remove(entry.path());
        }
    }
}

}  // namespace shoal::content
