// VolumeFolder: where a host keeps volumes, each a sparse file NAME.raw.
//
// The store says which volumes there are; the file's name says how far a change has come, so that
// whoever comes after a kill -9 finishes it: NAME.new before the store has the volume, NAME.deleted
// before it has it no longer. A NAME.raw that the store does not know is left alone: it is
// somebody's data.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace shoal::volumes {

class VolumeFolder {
public:
    // Created if it is missing. Throws std::system_error.
    explicit VolumeFolder(std::string path);

    // Finishes or takes back what an earlier shoald had begun, by what the store has. Throws
    // std::system_error.
    void reconcile(const std::set<std::string>& names) const;

    [[nodiscard]] bool has(const std::string& name) const;
    [[nodiscard]] std::string path_of(const std::string& name) const;

    // Each returns when it is on the disk. Throw std::system_error.
    void prepare(const std::string& name, std::uint64_t size_bytes) const;
    void keep(const std::string& name) const;  // of one that was prepared
    void drop(const std::string& name) const;  // the same
    void mark_deleted(const std::string& name) const;
    void restore(const std::string& name) const;  // of one that was marked
    void remove(const std::string& name) const;   // the same

private:
    [[nodiscard]] std::string file(const std::string& name, const char* suffix) const;
    void rename(const std::string& from, const std::string& to) const;
    void unlink(const std::string& path) const;

    std::string path_;
};

}  // namespace shoal::volumes
