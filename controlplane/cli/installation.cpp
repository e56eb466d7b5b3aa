// Looking beside the running program.
#include "controlplane/cli/installation.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "controlplane/cli/cli_error.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

std::string own_folder() {
    std::array<char, 4096> path{};
    const ssize_t size = host::check_os(::readlink("/proc/self/exe", path.data(), path.size()),
                                        "reading /proc/self/exe");
    const std::string_view text{path.data(), static_cast<std::size_t>(size)};
    return std::string{text.substr(0, text.rfind('/'))};
}

}  // namespace

std::string find_vmm() {
    const char* chosen = std::getenv("SHOAL_VMM");
    std::string path = chosen != nullptr ? chosen : own_folder() + "/shoal-vmm";
    if (::access(path.c_str(), X_OK) < 0) {
        throw CliError("there is no shoal-vmm to run at " + path);
    }
    return path;
}

std::string find_helper(const std::string& name) {
    const std::string folder = own_folder();
    const std::string built = folder + "/" + name;
    const std::string installed = folder + "/../lib/shoal/" + name;
    for (const std::string& path : {built, installed}) {
        if (::access(path.c_str(), X_OK) == 0) {
            return path;
        }
    }
    throw CliError("there is no " + name + " at " + built + " or " + installed);
}

void exec(std::vector<std::string>& words) {
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    ::execv(argv.front(), argv.data());
}

std::string find_unikernel() {
    if (const char* chosen = std::getenv("SHOAL_GUEST")) {
        return chosen;
    }
    const std::string folder = own_folder();
    const std::string built = folder + "/guest/shoal.elf";
    const std::string installed = folder + "/../lib/shoal/shoal.elf";
    for (const std::string& path : {built, installed}) {
        if (::access(path.c_str(), R_OK) == 0) {
            return path;
        }
    }
    throw CliError("there is no unikernel at " + built + " or " + installed);
}

}  // namespace shoal::cli
