// VolumeFolder: where a host keeps volumes, each a sparse file NAME.raw. One that was taken over
// from a checkpoint, for the N-th time, is NAME@N.raw: so what a host has of a volume that others
// have taken over meanwhile is nobody's any more, whatever becomes of the volume later.
// Several hosts may have one folder, on storage that all of them reach: NAME.raw is then the
// volume for all, and what a host is about to make or delete has its name: NAME.HOST.new.
//
// The store says which volumes there are; the file's name says how far a change has come, so that
// whoever comes after a kill -9 finishes it: .new before the store has the volume, .deleted before
// it has it no longer, .copy before it is whole. A file that is of no volume that the store knows
// is left alone: it is somebody's data.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace shoal::volumes {

// One state of a volume, on one host.
struct VolumeFile {
    std::string name;
    std::uint64_t takeovers = 0;

    auto operator<=>(const VolumeFile&) const = default;
};

// What the store has of a volume.
struct KnownVolume {
    std::uint64_t takeovers = 0;
    bool is_here = false;
};

class VolumeFolder {
public:
    // Created if it is missing. Throws std::system_error.
    explicit VolumeFolder(std::string path);
    // Of several hosts, this one among them. It is there, and does I/O that passes the host's cache
    // (O_DIRECT): what another host has cached would be old after a move. Throws std::system_error.
    VolumeFolder(std::string path, const std::string& host);

    // Finishes or takes back what an earlier shoald of this host had begun, by what the store has
    // (of the volumes that are in this folder), and deletes what was taken over. By name. Throws
    // std::system_error.
    void reconcile(const std::map<std::string, KnownVolume>& volumes) const;
    // Deletes what is here of a volume that was taken over, but for one that is being taken over
    // now.
    void delete_stale(const std::string& name, const KnownVolume& volume) const;

    [[nodiscard]] bool has(const VolumeFile& volume) const;
    [[nodiscard]] std::string path_of(const VolumeFile& volume) const;

    // Each returns when it is on the disk. Throw std::system_error.
    void prepare(const std::string& name, std::uint64_t size_bytes) const;
    void keep(const std::string& name) const;  // of one that was prepared
    void drop(const std::string& name) const;  // the same
    void mark_deleted(const VolumeFile& volume) const;
    void restore(const VolumeFile& volume) const;  // of one that was marked
    void remove(const VolumeFile& volume) const;   // the same
    // The first bytes of the file that somebody has made at copy_of(), in the place of what was
    // there.
    [[nodiscard]] std::string copy_of(const VolumeFile& volume) const;
    void install(const VolumeFile& volume, std::uint64_t size_bytes) const;

private:
    [[nodiscard]] std::string file(const VolumeFile& volume, const std::string& suffix) const;
    void rename(const std::string& from, const std::string& to) const;
    void unlink(const std::string& path) const;

    std::string path_;
    std::string prepared_;  // how names end
    std::string marked_;
};

}  // namespace shoal::volumes
