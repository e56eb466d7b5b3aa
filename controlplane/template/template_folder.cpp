// Made beside its place, flushed, and renamed.
#include "controlplane/template/template_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "controlplane/content/partial_folder.h"
#include "controlplane/content/sha256.h"
#include "devices/host/durable.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::templates {
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
    content::Sha256 sha;
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

std::string digest_of(std::span<const FileDigest> files) {
    content::Sha256 sha;
    sha.add("shoal template 1\n");
    for (std::size_t at = 0; at < files.size(); ++at) {
        sha.add(std::string{file_names.at(at)} + " " + std::to_string(files[at].size_bytes) + " " +
                files[at].sha256 + "\n");
    }
    return sha.finish();
}

std::string digest_of(const std::string& folder) {
    std::array<FileDigest, file_names.size()> files;
    std::ranges::transform(file_names, files.begin(),
                           [&](const char* name) { return digest_of_file(folder + "/" + name); });
    return digest_of(files);
}

Sizes sizes_of(const std::string& folder) {
    Sizes sizes;
    for (const char* name : file_names) {
        struct stat status {};
        const std::string path = folder + "/" + name;
        host::check_os(::stat(path.c_str(), &status), path.c_str());
        sizes.disk_bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
        sizes.memory_mib = static_cast<std::uint64_t>(status.st_size) >> 20;  // of the last one
    }
    return sizes;
}

TemplateFolder::TemplateFolder(std::string path) : path_{std::move(path)} {
    content::prepare_folder(path_);
}

std::string TemplateFolder::make_partial() const {
    return content::make_partial_folder(path_);
}

std::string TemplateFolder::adopt(const std::string& partial) const {
    std::string digest = digest_of(partial);
    adopt(partial, digest);
    return digest;
}

bool TemplateFolder::has(const std::string& digest) const {
    return ::access(path_of(digest).c_str(), F_OK) == 0;
}

void TemplateFolder::adopt(const std::string& partial, const std::string& digest) const {
    for (const char* name : file_names) {
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

void TemplateFolder::keep_only(const std::set<std::string>& digests) const {
    for (const auto& entry : fs::directory_iterator{path_}) {
        const std::string name = entry.path().filename().string();
        if (!content::is_partial(name) && !digests.contains(name)) {
            host::delete_all(entry.path());
        }
    }
}

}  // namespace shoal::templates
