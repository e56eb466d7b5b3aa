// Written beside its place; the rename is the moment from which it is there.
#include "controlplane/content/partial_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "controlplane/content/partial_folder.h"
#include "devices/host/durable.h"
#include "devices/host/os_error.h"

namespace shoal::content {
namespace {

constexpr std::size_t block_bytes = std::size_t{64} << 10;

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

bool is_zero(std::string_view bytes) {
    return std::ranges::all_of(bytes, [](char byte) { return byte == 0; });
}

}  // namespace

PartialFile::PartialFile(std::string path, Keeping keeping)
    : path_{std::move(path)},
      keeping_{keeping},
      partial_{folder_of(path_) + "/" + partial_prefix + "XXXXXX"} {
    file_ = host::UniqueFd{::mkostemp(partial_.data(), O_CLOEXEC)};
    if (!file_) {
        host::throw_os_error("cannot create a file in " + folder_of(path_));
    }
    host::check_os(::fchmod(file_.get(), 0644), "fchmod");
}

PartialFile::~PartialFile() {
    if (!partial_.empty()) {
        ::unlink(partial_.c_str());
    }
}

void PartialFile::append(std::string_view bytes) {
    if (keeping_ == Keeping::durable) {
        sha_.add(bytes);
    }
    while (!bytes.empty()) {
        const std::string_view block = bytes.substr(0, block_bytes);
        std::size_t done = block.size();
        if (!is_zero(block)) {
            done = static_cast<std::size_t>(host::check_os(
                ::pwrite(file_.get(), block.data(), block.size(), static_cast<off_t>(size_bytes_)),
                "cannot write"));
        }
        size_bytes_ += done;
        bytes.remove_prefix(done);
    }
}

std::string PartialFile::finish() {
    return sha_.finish();
}

void PartialFile::keep() {
    host::check_os(::ftruncate(file_.get(), static_cast<off_t>(size_bytes_)), "ftruncate");
    const bool is_durable = keeping_ == Keeping::durable;
    host::check_os(is_durable ? ::fsync(file_.get()) : 0, "fsync");
    host::check_os(::rename(partial_.c_str(), path_.c_str()), "rename");
    partial_.clear();
    if (is_durable) {
        host::flush_to_disk(folder_of(path_));
    }
}

}  // namespace shoal::content
