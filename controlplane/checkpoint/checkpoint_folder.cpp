// Made beside its place, flushed, and renamed.
#include "controlplane/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "controlplane/checkpoint/difference.h"
#include "controlplane/checkpoint/page_sums.h"
#include "controlplane/content/partial_folder.h"
#include "controlplane/node/process/child_process.h"
#include "devices/host/durable.h"
#include "devices/host/file_size.h"
#include "devices/host/os_error.h"

namespace shoal::checkpoints {
namespace {

namespace fs = std::filesystem;

constexpr const char* tar = "/usr/bin/tar";

// As a VMM makes them: memory and drives may be differences, the state never is.
std::vector<std::string> made_names(std::size_t drives) {
    std::vector<std::string> names{"state", "memory"};
    for (std::size_t drive = 0; drive < drives; ++drive) {
        names.push_back("drive-" + std::to_string(drive));
    }
    return names;
}

// As they are kept.
std::vector<std::string> kept_names(std::size_t drives) {
    std::vector<std::string> names;
    for (const std::string& name : made_names(drives)) {
        names.insert(names.end(), {name, sums_beside(name)});
    }
    return names;
}

std::size_t drives_in(const std::string& folder) {
    std::size_t drives = 0;
    while (drives < CheckpointFolder::max_drives &&
           fs::exists(CheckpointFolder::drive_in(folder, drives))) {
        ++drives;
    }
    return drives;
}

void run_tar(std::vector<std::string> words, const std::string& pack, const std::string& folder,
             const std::vector<std::string>& names) {
    words.insert(words.begin(), tar);
    words.insert(words.end(), {"--sparse", "--file", pack, "--directory", folder});
    words.insert(words.end(), names.begin(), names.end());
    node::run_child(words);
}

// Its last page, behind the memory, is whose it is.
PageSums sums_of_difference(PageSums base, const std::string& path) {
    const std::uint64_t memory_bytes = base.size_bytes / page_bytes * page_bytes;
    update_sums(base, path, pages_of_difference(path, memory_bytes));
    return base;
}

void update_last_sum(PageSums& sums, const std::string& path) {
    std::vector<std::uint64_t> last((sums.pages.size() + 63) / 64);
    last.back() = std::uint64_t{1} << (sums.pages.size() - 1) % 64;
    update_sums(sums, path, last);
}

}  // namespace

CheckpointFolder::CheckpointFolder(std::string path, std::string vmm)
    : path_{std::move(path)}, vmm_{std::move(vmm)} {
    content::prepare_folder(path_);
}

std::string CheckpointFolder::path_of(const CheckpointId& id) const {
    return path_ + "/" + to_text(id);
}

std::string CheckpointFolder::state_of(const CheckpointId& id) const {
    return state_in(path_of(id));
}

std::string CheckpointFolder::memory_of(const CheckpointId& id) const {
    return memory_in(path_of(id));
}

std::string CheckpointFolder::drive_of(const CheckpointId& id, std::size_t drive) const {
    return drive_in(path_of(id), drive);
}

bool CheckpointFolder::has(const CheckpointId& id) const {
    return fs::exists(path_of(id));
}

std::vector<CheckpointId> CheckpointFolder::list() const {
    std::vector<CheckpointId> ids;
    for (const auto& entry : fs::directory_iterator{path_}) {
        if (auto id = id_in(entry.path().filename().string())) {
            ids.push_back(std::move(*id));
        }
    }
    return ids;
}

std::string CheckpointFolder::make_partial() const {
    return content::make_partial_folder(path_);
}

void CheckpointFolder::expect_room(std::uint64_t bytes) const {
    const std::uint64_t free_bytes = fs::space(path_).available;
    if (free_bytes < reserved_bytes || free_bytes - reserved_bytes < bytes) {
        throw std::runtime_error{
            "the disk of " + path_ + " has " + std::to_string(free_bytes >> 20) +
            " MiB free: " + std::to_string(bytes >> 20) + " MiB and a reserve of " +
            std::to_string(reserved_bytes >> 20) + " MiB are needed"};
    }
}

std::uint64_t CheckpointFolder::pack(const std::string& folder, const std::string& pack) {
    run_tar({"--create"}, pack, folder, made_names(drives_in(folder)));
    return fs::file_size(pack);
}

void CheckpointFolder::pack_again(const CheckpointId& id, const std::string& pack) const {
    if (!has(id)) {
        throw std::runtime_error{"checkpoint " + to_text(id) + " is not here"};
    }
    run_tar({"--create"}, pack, path_of(id), kept_names(drives_in(path_of(id))));
}

void CheckpointFolder::install(const std::string& partial, const CheckpointId& id,
                               const std::optional<CheckpointId>& base, std::size_t drives) const {
    try {
        if (base && !has(*base)) {
            throw std::runtime_error{"checkpoint " + to_text(*base) + " is not here"};
        }
        unpack(partial, made_names(drives));
        for (const std::string& name : made_names(drives)) {
            const std::string path = partial + "/" + name;
            const bool is_difference = base && path != state_in(partial);
            write_sums(path,
                       is_difference ? merge(path_of(*base) + "/" + name, path) : sums_of(path));
        }
        for (const std::string& name : kept_names(drives)) {
            host::flush_to_disk(partial + "/" + name, O_NOFOLLOW);
        }
        host::flush_to_disk(partial);
        publish(partial, id);
        host::flush_to_disk(path_);
    } catch (...) {
        host::delete_all(partial);
        throw;
    }
}

// Nobody relies on it after a crash: nothing is flushed.
void CheckpointFolder::adopt(const std::string& partial, const CheckpointId& id,
                             std::size_t drives) const {
    try {
        unpack(partial, kept_names(drives));
        expect_sound_in(partial);
        publish(partial, id);
    } catch (...) {
        host::delete_all(partial);
        throw;
    }
}

void CheckpointFolder::expect_sound(const CheckpointId& id) const {
    expect_sound_in(path_of(id));
}

void CheckpointFolder::expect_sound_in(const std::string& folder) {
    for (const std::string& name : made_names(drives_in(folder))) {
        checkpoints::expect_sound(folder + "/" + name);
    }
}

void CheckpointFolder::unpack(const std::string& partial, const std::vector<std::string>& names) {
    const std::string pack = pack_in(partial);
    run_tar({"--extract", "--no-same-owner"}, pack, partial, names);
    fs::remove(pack);
}

// The base's file has a second name for so long: what is merged takes that name, by a rename, and
// the base stays as it is. What the base's pages were when they came counts on, not what is read of
// them now.
PageSums CheckpointFolder::merge(const std::string& base, const std::string& difference) const {
    const std::string whole = difference + ".whole";
    expect_room(host::allocated_bytes(base));  // Merging copies it.
    PageSums sums = sums_of_difference(read_sums(base), difference);
    fs::create_hard_link(base, whole);
    node::run_child({vmm_, "--rebase", whole, "--diff", difference});
    fs::rename(whole, difference);
    update_last_sum(sums, difference);
    return sums;
}

// One of the same name was never told to anybody: it makes room.
void CheckpointFolder::publish(const std::string& partial, const CheckpointId& id) const {
    const std::string path = path_of(id);
    const bool is_there = fs::exists(path);
    const unsigned flags = is_there ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, path.c_str(), flags) < 0) {
        host::throw_os_error("cannot rename " + partial);
    }
    if (is_there) {
        host::delete_all(partial);
    }
}

void CheckpointFolder::remove(const CheckpointId& id) const {
    host::delete_all(path_of(id));
}

}  // namespace shoal::checkpoints
