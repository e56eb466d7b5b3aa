// Made beside its place, flushed, and renamed.
#include "controlplane/content/bundle_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <vector>

#include "controlplane/content/partial_folder.h"
#include "controlplane/content/sha256.h"
#include "devices/host/check.h"
#include "devices/host/durable.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::content {
namespace {

namespace fs = std::filesystem;

host::UniqueFd open_to_read(const std::string& path) {
    host::UniqueFd file{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (!file) {
        host::throw_os_error("cannot open " + path);
    }
    return file;
}

FileDigest digest_of_file(const std::string& path) {
    const host::UniqueFd file = open_to_read(path);
    Sha256 sha;
    std::vector<char> bytes(std::size_t{1} << 20);
    FileDigest digest;
    while (true) {
        const ssize_t count = ::read(file.get(), bytes.data(), bytes.size());
        if (count < 0) {
            host::throw_os_error("cannot read " + path);
        }
        if (count == 0) {
            break;
        }
        sha.add({bytes.data(), static_cast<std::size_t>(count)});
        digest.size_bytes += static_cast<std::uint64_t>(count);
    }
    digest.sha256 = sha.finish();
    return digest;
}

}  // namespace

std::string digest_of(const BundleKind& kind, std::span<const FileDigest> files) {
    SHOAL_CHECK(files.size() == kind.files.size());
    if (files.size() == 1) {
        return files.front().sha256;
    }
    Sha256 sha;
    sha.add("shoal " + std::string{kind.name} + " 1\n");
    for (std::size_t at = 0; at < files.size(); ++at) {
        sha.add(std::string{kind.files[at]} + " " + std::to_string(files[at].size_bytes) + " " +
                files[at].sha256 + "\n");
    }
    return sha.finish();
}

std::string digest_of(const BundleKind& kind, const std::string& folder) {
    std::vector<FileDigest> files;
    std::ranges::transform(kind.files, std::back_inserter(files),
                           [&](const char* name) { return digest_of_file(folder + "/" + name); });
    return digest_of(kind, files);
}

BundleFolder::BundleFolder(const BundleKind& kind, std::string path)
    : kind_{kind}, path_{std::move(path)} {
    prepare_folder(path_);
}

std::string BundleFolder::make_partial() const {
    return make_partial_folder(path_);
}

std::string BundleFolder::adopt(const std::string& partial) const {
    std::string digest = digest_of(kind_, partial);
    adopt(partial, digest);
    return digest;
}

bool BundleFolder::has(const std::string& digest) const {
    return ::access(path_of(digest).c_str(), F_OK) == 0;
}

void BundleFolder::adopt(const std::string& partial, const std::string& digest) const {
    for (const char* name : kind_.files) {
        host::flush_to_disk(partial + "/" + name);
    }
    host::flush_to_disk(partial);
    std::error_code error;
    fs::rename(partial, path_of(digest), error);
    if (error == std::errc::directory_not_empty || error == std::errc::file_exists) {
        host::delete_all(partial);
    } else if (error) {
        throw std::system_error{error, "cannot rename " + partial};
    }
    host::flush_to_disk(path_);
}

void BundleFolder::remove(const std::string& digest) const {
    host::delete_all(path_of(digest));
}

void BundleFolder::keep_only(const std::set<std::string>& digests) const {
    for (const auto& entry : fs::directory_iterator{path_}) {
        const std::string name = entry.path().filename().string();
        if (!is_partial(name) && !digests.contains(name)) {
            host::delete_all(entry.path());
        }
    }
}

}  // namespace shoal::content
