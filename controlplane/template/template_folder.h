// TemplateFolder: where a host keeps templates. Each is a folder with the files `state` and
// `memory`, named after its content: whoever has the name can check what is in it.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>

namespace shoal::templates {

// Of each template.
inline constexpr std::array<const char*, 2> file_names{"state", "memory"};

struct FileDigest {
    std::uint64_t size_bytes = 0;
    std::string sha256;
};

// SHA-256 over the names, sizes and SHA-256s of a template's files, in the order of their names, in
// hexadecimal digits. Throws std::runtime_error.
[[nodiscard]] std::string digest_of(std::span<const FileDigest> files);
// Of the files in `folder`. Reads all of them: not for the loop's thread. Throws also
// std::system_error.
[[nodiscard]] std::string digest_of(const std::string& folder);

// What a template's folder takes of the disk, and the microVM's memory.
struct Sizes {
    std::uint64_t disk_bytes = 0;
    std::uint64_t memory_mib = 0;
};
[[nodiscard]] Sizes sizes_of(const std::string& folder);

class TemplateFolder {
public:
    // Created if it is missing. What an earlier shoald was making is deleted. Throws
    // std::system_error.
    explicit TemplateFolder(std::string path);

    [[nodiscard]] std::string path_of(const std::string& digest) const {
        return path_ + "/" + digest;
    }
    [[nodiscard]] static std::string state_in(const std::string& folder) {
        return folder + "/state";
    }
    [[nodiscard]] static std::string memory_in(const std::string& folder) {
        return folder + "/memory";
    }

    // An empty folder in which a template is made. Throws std::system_error.
    [[nodiscard]] std::string make_partial() const;
    // Gives what was made its name, once all of it is on the disk; its digest. What is there
    // already under that name stays. Not for the loop's thread. Throws as digest_of().
    [[nodiscard]] std::string adopt(const std::string& partial) const;
    // The same, when the digest is known.
    void adopt(const std::string& partial, const std::string& digest) const;
    [[nodiscard]] bool has(const std::string& digest) const;
    // Deletes all but these.
    void keep_only(const std::set<std::string>& digests) const;

private:
    std::string path_;
};

}  // namespace shoal::templates
