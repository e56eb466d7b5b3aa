// Every step is one rename or unlink, with the folder flushed behind it.
#include "controlplane/volume/volume_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "devices/host/durable.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::volumes {
namespace {

namespace fs = std::filesystem;

constexpr const char* whole = ".raw";
constexpr const char* prepared = ".new";
constexpr const char* marked = ".deleted";

}  // namespace

VolumeFolder::VolumeFolder(std::string path) : path_{std::move(path)} {
    fs::create_directories(path_);
}

std::string VolumeFolder::file(const std::string& name, const char* suffix) const {
    return path_ + "/" + name + suffix;
}

std::string VolumeFolder::path_of(const std::string& name) const {
    return file(name, whole);
}

bool VolumeFolder::has(const std::string& name) const {
    return fs::exists(path_of(name));
}

void VolumeFolder::reconcile(const std::set<std::string>& names) const {
    std::set<fs::path> files;
    for (const auto& entry : fs::directory_iterator{path_}) {
        files.insert(entry.path());
    }
    for (const fs::path& path : files) {
        const std::string name = path.stem();
        const std::string suffix = path.extension();
        const bool is_known = names.contains(name);
        if (suffix == whole) {
            if (!is_known) {
                host::log(host::LogLevel::warn, path.string() + " is no volume that is known");
            }
        } else if (suffix == prepared || suffix == marked) {
            is_known && !has(name) ? rename(path, path_of(name)) : unlink(path);
        } else {
            host::log(host::LogLevel::warn, path.string() + " is no file of ours");
        }
    }
}

void VolumeFolder::prepare(const std::string& name, std::uint64_t size_bytes) const {
    const std::string path = file(name, prepared);
    const host::UniqueFd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (!file) {
        host::throw_os_error("cannot create " + path);
    }
    if (::ftruncate(file.get(), static_cast<off_t>(size_bytes)) < 0 || ::fsync(file.get()) < 0) {
        const int error = errno;
        ::unlink(path.c_str());
        host::throw_os_error("cannot make " + path + " as large", error);
    }
    host::flush_to_disk(path_);
}

void VolumeFolder::keep(const std::string& name) const {
    rename(file(name, prepared), path_of(name));
}

void VolumeFolder::drop(const std::string& name) const {
    unlink(file(name, prepared));
}

void VolumeFolder::mark_deleted(const std::string& name) const {
    rename(path_of(name), file(name, marked));
}

void VolumeFolder::restore(const std::string& name) const {
    rename(file(name, marked), path_of(name));
}

void VolumeFolder::remove(const std::string& name) const {
    unlink(file(name, marked));
}

void VolumeFolder::rename(const std::string& from, const std::string& to) const {
    if (::rename(from.c_str(), to.c_str()) < 0) {
        host::throw_os_error("cannot rename " + from);
    }
    host::flush_to_disk(path_);
}

void VolumeFolder::unlink(const std::string& path) const {
    if (::unlink(path.c_str()) < 0) {
        host::throw_os_error("cannot delete " + path);
    }
    host::flush_to_disk(path_);
}

}  // namespace shoal::volumes
