// Folders and files of the kernel (admin-guide/cgroup-v2, cgroup-v1).
#include "controlplane/node/process/cgroups.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::node {
namespace {

namespace fs = std::filesystem;

// The VMM, its supervisor, page tables and the log's page cache.
constexpr std::uint64_t overhead_mib = 64;
constexpr std::uint64_t max_tasks = 512;

std::uint64_t memory_bytes(const CgroupLimits& limits) {
    return (limits.memory_mib + overhead_mib) << 20;
}
// A CPU each; both scales have their default for one.
std::uint64_t weight(const CgroupLimits& limits) {
    return std::min<std::uint64_t>(100 * limits.vcpus, 10'000);
}
std::uint64_t shares(const CgroupLimits& limits) {
    return std::min<std::uint64_t>(1024 * limits.vcpus, 262'144);
}
std::uint64_t tasks(const CgroupLimits&) {
    return max_tasks;
}

void write_text(const std::string& path, const std::string& text) {
    const host::UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (!file || ::write(file.get(), text.data(), text.size()) < 0) {
        host::throw_os_error("cannot write " + text + " to " + path);
    }
}

void make_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST) {
        host::throw_os_error("cannot create " + path);
    }
}

host::UniqueFd open_folder(const std::string& path) {
    host::UniqueFd folder{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder) {
        host::throw_os_error("cannot open " + path);
    }
    return folder;
}

}  // namespace

Cgroups::Cgroups(const std::string& mount, const std::string& parent) {
    try {
        if (fs::exists(mount + "/cgroup.controllers")) {
            find_version_2(mount, parent);
        } else {
            find_version_1(mount, parent);
        }
    } catch (const std::system_error& error) {
        hierarchies_.clear();
        host::log(host::LogLevel::warn,
                  std::string{"microVMs run without control groups: "} + error.what());
    }
}

Cgroups::~Cgroups() {
    for (const Hierarchy& hierarchy : hierarchies_) {
        ::rmdir(hierarchy.folder.c_str());  // fails when there is something
    }
}

bool Cgroups::has_memory() const noexcept {
    return std::ranges::any_of(hierarchies_, [](const Hierarchy& hierarchy) {
        return std::ranges::any_of(hierarchy.settings, [](const Setting& setting) {
            return setting.value == memory_bytes;
        });
    });
}

void Cgroups::find_version_2(const std::string& mount, const std::string& parent) {
    std::ifstream file{mount + "/cgroup.controllers"};
    Hierarchy hierarchy{mount + "/" + parent, {}};
    is_version_2_ = true;
    make_folder(hierarchy.folder);
    for (std::string name; file >> name;) {
        if (name == "memory") {
            hierarchy.settings.push_back({"memory.max", memory_bytes});
        } else if (name == "cpu") {
            hierarchy.settings.push_back({"cpu.weight", weight});
        } else if (name == "pids") {
            hierarchy.settings.push_back({"pids.max", tasks});
        } else {
            continue;
        }
        for (const std::string& folder : {mount, hierarchy.folder}) {
            write_text(folder + "/cgroup.subtree_control", "+" + name);
        }
    }
    if (!hierarchy.settings.empty()) {
        hierarchies_.push_back(std::move(hierarchy));
    }
}

void Cgroups::find_version_1(const std::string& mount, const std::string& parent) {
    const Setting settings[]{
        {"memory.limit_in_bytes", memory_bytes}, {"cpu.shares", shares}, {"pids.max", tasks}};
    for (const Setting& setting : settings) {
        const std::string controller = setting.file.substr(0, setting.file.find('.'));
        if (!fs::exists(mount + "/" + controller + "/cgroup.procs")) {
            continue;
        }
        const std::string folder = mount + "/" + controller + "/" + parent;
        make_folder(folder);
        hierarchies_.push_back({folder, {setting}});
    }
}

CgroupEntry Cgroups::make(const std::string& name, const CgroupLimits& limits) const {
    CgroupEntry entry;
    try {
        for (const Hierarchy& hierarchy : hierarchies_) {
            const std::string folder = hierarchy.folder + "/" + name;
            make_folder(folder);
            for (const Setting& setting : hierarchy.settings) {
                write_text(folder + "/" + setting.file, std::to_string(setting.value(limits)));
            }
            if (is_version_2_) {
                entry.folder = open_folder(folder);
            } else {
                entry.files.push_back(folder + "/tasks");
            }
        }
    } catch (const std::system_error&) {
        static_cast<void>(remove(name));  // Nobody has entered.
        throw;
    }
    return entry;
}

bool Cgroups::remove(const std::string& name) const {
    bool is_gone = true;
    for (const Hierarchy& hierarchy : hierarchies_) {
        const std::string folder = hierarchy.folder + "/" + name;
        is_gone = (::rmdir(folder.c_str()) == 0 || errno == ENOENT) && is_gone;
    }
    return is_gone;
}

std::vector<std::string> Cgroups::names() const {
    std::set<std::string> names;
    for (const Hierarchy& hierarchy : hierarchies_) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator{hierarchy.folder, error}) {
            if (entry.is_directory(error)) {
                names.insert(entry.path().filename().string());
            }
        }
    }
    return {names.begin(), names.end()};
}

}  // namespace shoal::node
