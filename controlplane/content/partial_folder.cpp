// No list of what is being made: the names say it.
#include "controlplane/content/partial_folder.h"

#include <stdlib.h>

#include <filesystem>

#include "devices/host/durable.h"
#include "devices/host/os_error.h"

namespace shoal::content {

namespace fs = std::filesystem;

std::string make_partial_folder(const std::string& folder) {
    std::string path = folder + "/" + partial_prefix + "XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        host::throw_os_error("cannot create a folder in " + folder);
    }
    return path;
}

void prepare_folder(const std::string& folder) {
    fs::create_directories(folder);
    for (const auto& entry : fs::directory_iterator{folder}) {
        if (is_partial(entry.path().filename().string())) {
            host::delete_all(entry.path());
        }
    }
}

}  // namespace shoal::content
