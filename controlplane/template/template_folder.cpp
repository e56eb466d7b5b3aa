// stat(2).
#include "controlplane/template/template_folder.h"

#include <sys/stat.h>

#include "devices/host/file_size.h"
#include "devices/host/os_error.h"

namespace shoal::templates {

Sizes sizes_of(const std::string& folder) {
    Sizes sizes;
    for (const char* name : file_names) {
        struct stat status {};
        const std::string path = folder + "/" + name;
        host::check_os(::stat(path.c_str(), &status), path.c_str());
        sizes.disk_bytes += host::allocated_bytes(status);
        sizes.memory_mib = static_cast<std::uint64_t>(status.st_size) >> 20;  // of the last one
    }
    return sizes;
}

}  // namespace shoal::templates
