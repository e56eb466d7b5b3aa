// Every step is one rename or unlink, with the folder flushed behind it.
#include "controlplane/volume/volume_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <vector>

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
constexpr const char* copied = ".copy";
constexpr const char* tried = ".try";  // how a shared folder does I/O

std::string stem_of(const VolumeFile& volume) {
    return volume.takeovers == 0 ? volume.name
                                 : volume.name + "@" + std::to_string(volume.takeovers);
}

// One name for one file: no zero, none in front.
std::optional<VolumeFile> volume_in(const std::string& stem) {
    const std::size_t at = stem.find('@');
    VolumeFile volume{stem.substr(0, at), 0};
    if (at != std::string::npos) {
        std::from_chars(stem.data() + at + 1, stem.data() + stem.size(), volume.takeovers);
    }
    return stem_of(volume) == stem ? std::optional{std::move(volume)} : std::nullopt;
}

bool was_taken_over(const VolumeFile& volume, const KnownVolume& known) {
    return volume.takeovers < known.takeovers ||
           (volume.takeovers == known.takeovers && volume.takeovers > 0 && !known.is_here);
}

// What one folder has at a moment.
std::vector<fs::path> files_in(const std::string& path) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator{path}) {
        files.push_back(entry.path());
    }
    return files;
}

}  // namespace

VolumeFolder::VolumeFolder(std::string path)
    : path_{std::move(path)}, prepared_{prepared}, marked_{marked} {
    fs::create_directories(path_);
}

VolumeFolder::VolumeFolder(std::string path, const std::string& host)
    : path_{std::move(path)}, prepared_{"." + host + prepared}, marked_{"." + host + marked} {
    const std::string name = path_ + "/" + host + tried;
    const host::UniqueFd file{::open(name.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600)};
    const int error = errno;
    ::unlink(name.c_str());
    if (!file) {
        host::throw_os_error("cannot write to storage " + path_ + " with O_DIRECT", error);
    }
}

std::string VolumeFolder::file(const VolumeFile& volume, const std::string& suffix) const {
    return path_ + "/" + stem_of(volume) + suffix;
}

std::string VolumeFolder::path_of(const VolumeFile& volume) const {
    return file(volume, whole);
}

std::string VolumeFolder::copy_of(const VolumeFile& volume) const {
    return file(volume, copied);
}

bool VolumeFolder::has(const VolumeFile& volume) const {
    return fs::exists(path_of(volume));
}

void VolumeFolder::reconcile(const std::map<std::string, KnownVolume>& volumes) const {
    for (const fs::path& path : files_in(path_)) {
        const std::string name = path.filename();
        const std::string suffix = name.substr(std::min(name.find('.'), name.size()));
        const auto volume = volume_in(name.substr(0, name.size() - suffix.size()));
        const bool is_ours =
            suffix == whole || suffix == prepared_ || suffix == marked_ || suffix == copied;
        if (!volume || !is_ours) {
            const bool is_of_another_host = name.ends_with(prepared) || name.ends_with(marked);
            if (prepared_ == prepared || !is_of_another_host) {
                host::log(host::LogLevel::warn, path.string() + " is no file of ours");
            }
            continue;
        }
        const auto known = volumes.find(volume->name);
        const bool is_current = known != volumes.end() && known->second.is_here &&
                                known->second.takeovers == volume->takeovers;
        if (suffix == whole) {
            if (known == volumes.end()) {
                host::log(host::LogLevel::warn, path.string() + " is no volume that is known");
            } else if (was_taken_over(*volume, known->second) ||
                       volume->takeovers > known->second.takeovers) {
                unlink(path);
            }
        } else {
            const bool is_finished = is_current && suffix != copied && !has(*volume);
            is_finished ? rename(path, path_of(*volume)) : unlink(path);
        }
    }
}

void VolumeFolder::delete_stale(const std::string& name, const KnownVolume& volume) const {
    for (const fs::path& path : files_in(path_)) {
        const auto found = volume_in(path.stem());
        if (found && found->name == name && path.extension() == whole &&
            was_taken_over(*found, volume)) {
            unlink(path);
        }
    }
}

void VolumeFolder::prepare(const std::string& name, std::uint64_t size_bytes) const {
    const std::string path = file({name}, prepared_);
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
    rename(file({name}, prepared_), path_of({name}));
}

void VolumeFolder::drop(const std::string& name) const {
    unlink(file({name}, prepared_));
}

void VolumeFolder::mark_deleted(const VolumeFile& volume) const {
    rename(path_of(volume), file(volume, marked_));
}

void VolumeFolder::restore(const VolumeFile& volume) const {
    rename(file(volume, marked_), path_of(volume));
}

void VolumeFolder::remove(const VolumeFile& volume) const {
    unlink(file(volume, marked_));
}

void VolumeFolder::install(const VolumeFile& volume, std::uint64_t size_bytes) const {
    const std::string path = copy_of(volume);
    if (::truncate(path.c_str(), static_cast<off_t>(size_bytes)) < 0) {
        host::throw_os_error("cannot make " + path + " as short");
    }
    host::flush_to_disk(path);
    rename(path, path_of(volume));
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
