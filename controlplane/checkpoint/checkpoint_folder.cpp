// Made beside its place, flushed, and renamed.
#include "controlplane/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "controlplane/content/partial_folder.h"
#include "controlplane/node/child_process.h"
#include "devices/host/durable.h"
#include "devices/host/os_error.h"

namespace shoal::checkpoints {
namespace {

namespace fs = std::filesystem;

constexpr const char* tar = "/usr/bin/tar";
constexpr std::array<const char*, 2> file_names{"state", "memory"};

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
    node::run_child({tar, "--create", "--sparse", "--file", pack, "--directory", folder,
                     file_names[0], file_names[1]});
    return fs::file_size(pack);
}

void CheckpointFolder::pack_again(const CheckpointId& id, const std::string& pack) const {
    if (!has(id)) {
        throw std::runtime_error{"checkpoint " + to_text(id) + " is not here"};
    }
    static_cast<void>(CheckpointFolder::pack(path_of(id), pack));
}

void CheckpointFolder::install(const std::string& partial, const CheckpointId& id,
                               const std::optional<CheckpointId>& base) const {
    try {
        unpack(partial);
        if (base) {
            merge(partial, *base);
        }
        publish(partial, id);
    } catch (...) {
        host::delete_all(partial);
        throw;
    }
}

void CheckpointFolder::unpack(const std::string& partial) const {
    const std::string pack = pack_in(partial);
    node::run_child({tar, "--extract", "--sparse", "--no-same-owner", "--file", pack, "--directory",
                     partial, file_names[0], file_names[1]});
    fs::remove(pack);
}

// The base's file has a second name for so long: what is merged takes that name, by a rename, and
// the base stays as it is.
void CheckpointFolder::merge(const std::string& partial, const CheckpointId& base) const {
    const std::string difference = memory_in(partial);
    const std::string whole = partial + "/whole";
    if (!has(base)) {
        throw std::runtime_error{"checkpoint " + to_text(base) + " is not here"};
    }
    struct stat status {};
    host::check_os(::stat(memory_of(base).c_str(), &status), "stat of a checkpoint");
    expect_room(static_cast<std::uint64_t>(status.st_blocks) * 512);  // Merging copies it.
    fs::create_hard_link(memory_of(base), whole);
    node::run_child({vmm_, "--rebase", whole, "--diff", difference});
    fs::rename(whole, difference);
}

// One of the same name was never told to anybody: it makes room.
void CheckpointFolder::publish(const std::string& partial, const CheckpointId& id) const {
    for (const char* name : file_names) {
        host::flush_to_disk(partial + "/" + name, O_NOFOLLOW);
    }
    host::flush_to_disk(partial);
    const std::string path = path_of(id);
    const bool is_there = fs::exists(path);
    const unsigned flags = is_there ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, path.c_str(), flags) < 0) {
        host::throw_os_error("cannot rename " + partial);
    }
    host::flush_to_disk(path_);
    if (is_there) {
        host::delete_all(partial);
    }
}

void CheckpointFolder::remove(const CheckpointId& id) const {
    host::delete_all(path_of(id));
}

}  // namespace shoal::checkpoints
