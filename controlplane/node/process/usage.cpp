// proc(5): the run folder names the supervisor, whose only child is the VMM.
#include "controlplane/node/process/usage.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "controlplane/node/process/process_identity.h"
#include "controlplane/node/process/run_folder.h"
#include "devices/host/unique_fd.h"

namespace shoal::node {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

std::optional<pid_t> vmm_in(const std::string& run_folder) {
    const host::UniqueFd folder{::open(run_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const auto text = folder ? read_whole(folder.get(), supervisor_file) : std::nullopt;
    const auto supervision = text ? supervision_in(*text) : std::nullopt;
    if (!supervision || identify(supervision->supervisor.pid) != supervision->supervisor) {
        return std::nullopt;
    }
    const std::string pid = std::to_string(supervision->supervisor.pid);
    pid_t child = 0;
    std::istringstream{read_file("/proc/" + pid + "/task/" + pid + "/children")} >> child;
    return child > 0 ? std::optional{child} : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> cpu_ticks_in(const std::string& stat) {
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) {
        return std::nullopt;
    }
    std::istringstream fields{stat.substr(name_end + 1)};
    std::string word;
    for (int field = 3; field < 14; ++field) {
        fields >> word;
    }
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    return fields >> user >> system ? std::optional{user + system} : std::nullopt;
}

std::optional<ProcessUsage> usage_in(const std::string& run_folder) {
    try {
        const auto vmm = vmm_in(run_folder);
        if (!vmm) {
            return std::nullopt;
        }
        const std::string process = "/proc/" + std::to_string(*vmm);
        const auto ticks = cpu_ticks_in(read_file(process + "/stat"));
        std::uint64_t size_pages = 0;
        std::uint64_t resident_pages = 0;
        std::istringstream statm{read_file(process + "/statm")};
        if (!ticks || !(statm >> size_pages >> resident_pages)) {
            return std::nullopt;
        }
        const auto ticks_per_s = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
        const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        return ProcessUsage{*ticks * 1'000'000 / ticks_per_s, resident_pages * page_bytes};
    } catch (const std::system_error&) {
        return std::nullopt;  // It has just ended.
    }
}

}  // namespace shoal::node
