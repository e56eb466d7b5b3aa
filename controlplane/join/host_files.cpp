// A key is never there for others to read, not even for a moment.
#include "controlplane/join/host_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "controlplane/cli/cli_error.h"
#include "devices/host/durable.h"
#include "devices/host/unique_fd.h"

namespace shoal::join {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> names{"ca.pem", "host.pem", "host.key"};

[[noreturn]] void fail(const std::string& path) {
    throw cli::CliError("cannot write " + path + ": " + std::strerror(errno));
}

}  // namespace

void check_files(const cli::HostFiles& files) {
    std::error_code error;
    fs::create_directories(files.folder, error);
    if (error) {
        throw cli::CliError("cannot create " + files.folder + ": " + error.message());
    }
    for (const char* name : names) {
        const std::string path = files.folder + "/" + name;
        if (fs::exists(path)) {
            throw cli::CliError(path + " is there already: this host has a certificate");
        }
    }
}

void write_file(const cli::HostFiles& files, const std::string& name, const std::string& text,
                Secrecy secrecy) {
    const std::string path = files.folder + "/" + name;
    const std::string partial = path + ".partial";
    ::unlink(partial.c_str());
    const mode_t mode = secrecy == Secrecy::secret ? 0600 : 0644;
    const host::UniqueFd file{
        ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
    if (!file ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.get()) < 0 || ::rename(partial.c_str(), path.c_str()) < 0) {
        fail(path);
    }
    host::flush_to_disk(files.folder);
}

std::string shoald_words(const cli::HostFiles& files) {
    return "shoald --host " + files.host + " --address " + files.address + " --peer-ca " +
           files.folder + "/ca.pem --peer-cert " + files.folder + "/host.pem --peer-key " +
           files.folder + "/host.key";
}

}  // namespace shoal::join
