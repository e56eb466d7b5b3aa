// Made beside its place, flushed, and renamed.
#include "controlplane/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "controlplane/checkpoint/difference.h"
#include "controlplane/checkpoint/page_sums.h"
#include "controlplane/content/partial_folder.h"
#include "controlplane/node/process/child_process.h"
#include "devices/host/durable.h"
#include "devices/host/os_error.h"

namespace shoal::checkpoints {
namespace {

namespace fs = std::filesystem;

constexpr const char* tar = "/usr/bin/tar";

// As a VMM makes them, and as they are kept.
const std::vector<std::string> made_names{"state", "memory"};
const std::vector<std::string> kept_names{"state", "state.sums", "memory", "memory.sums"};

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
    run_tar({"--create"}, pack, folder, made_names);
    return fs::file_size(pack);
}

void CheckpointFolder::pack_again(const CheckpointId& id, const std::string& pack) const {
    if (!has(id)) {
        throw std::runtime_error{"checkpoint " + to_text(id) + " is not here"};
    }
    run_tar({"--create"}, pack, path_of(id), kept_names);
}

void CheckpointFolder::install(const std::string& partial, const CheckpointId& id,
                               const std::optional<CheckpointId>& base) const {
    try {
        unpack(partial, made_names);
        write_sums(memory_in(partial), base ? merge(partial, *base) : sums_of(memory_in(partial)));
        write_sums(state_in(partial), sums_of(state_in(partial)));
        for (const std::string& name : kept_names) {
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
void CheckpointFolder::adopt(const std::string& partial, const CheckpointId& id) const {
    try {
        unpack(partial, kept_names);
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
    checkpoints::expect_sound(state_in(folder));
    checkpoints::expect_sound(memory_in(folder));
}

void CheckpointFolder::unpack(const std::string& partial, const std::vector<std::string>& names) {
    const std::string pack = pack_in(partial);
    run_tar({"--extract", "--no-same-owner"}, pack, partial, names);
    fs::remove(pack);
}

// The base's file has a second name for so long: what is merged takes that name, by a rename, and
// the base stays as it is. What the base's pages were when they came counts on, not what is read of
// them now.
PageSums CheckpointFolder::merge(const std::string& partial, const CheckpointId& base) const {
    const std::string difference = memory_in(partial);
    const std::string whole = partial + "/whole";
    if (!has(base)) {
        throw std::runtime_error{"checkpoint " + to_text(base) + " is not here"};
    }
    struct stat status {};
    host::check_os(::stat(memory_of(base).c_str(), &status), "stat of a checkpoint");
    expect_room(static_cast<std::uint64_t>(status.st_blocks) * 512);  // Merging copies it.
    PageSums sums = sums_of_difference(read_sums(memory_of(base)), difference);
    fs::create_hard_link(memory_of(base), whole);
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
