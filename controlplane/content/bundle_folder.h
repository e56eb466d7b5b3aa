// BundleFolder: where a host keeps bundles of files of one kind, as templates are. Each is a folder
// that is named after its content: whoever has the name can check what is in it.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace shoal::content {

// What all bundles of a kind are made of.
struct BundleKind {
    std::string_view name;               // "template"
    std::span<const char* const> files;  // which each has, in the order in which they are hashed
};

struct FileDigest {
    std::uint64_t size_bytes = 0;
    std::string sha256;
};

// Of one file its SHA-256; of several the SHA-256 over their names, sizes and SHA-256s. In
// hexadecimal digits. Throws std::runtime_error.
[[nodiscard]] std::string digest_of(const BundleKind& kind, std::span<const FileDigest> files);
// Of the files in `folder`. Reads all of them: not for the loop's thread. Throws also
// std::system_error.
[[nodiscard]] std::string digest_of(const BundleKind& kind, const std::string& folder);

class BundleFolder {
public:
    // Created if it is missing. What an earlier shoald was making is deleted. Throws
    // std::system_error.
    BundleFolder(const BundleKind& kind, std::string path);

    [[nodiscard]] const BundleKind& kind() const noexcept { return kind_; }
    [[nodiscard]] std::string path_of(const std::string& digest) const {
        return path_ + "/" + digest;
    }

    // An empty folder in which a bundle is made. Throws std::system_error.
    [[nodiscard]] std::string make_partial() const;
    // Gives what was made its name, once all of it is on the disk; its digest. What is there
    // already under that name stays. Not for the loop's thread. Throws as digest_of().
    [[nodiscard]] std::string adopt(const std::string& partial) const;
    // The same, when the digest is known.
    void adopt(const std::string& partial, const std::string& digest) const;
    [[nodiscard]] bool has(const std::string& digest) const;
    void remove(const std::string& digest) const;
    // Deletes all but these.
    void keep_only(const std::set<std::string>& digests) const;

private:
    BundleKind kind_;
    std::string path_;
};

}  // namespace shoal::content
