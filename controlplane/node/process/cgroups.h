// Cgroups: a control group for each attempt, which its processes cannot leave: its memory, its
// share of the CPUs and the number of its tasks. Version 2, or version 1 with a hierarchy per
// controller.
//
// A host without them, or that does not let us, has none: the microVMs then run without.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::node {

struct CgroupLimits {
    std::uint64_t memory_mib = 0;  // the guest's; the VMM's own comes on top
    std::uint64_t vcpus = 1;
};

// The ways into a cgroup that do not wait for all forks and ends of processes on the host, as a
// write to cgroup.procs does: by an RCU grace period, 10 ms, for which all others wait then.
struct CgroupEntry {
    host::UniqueFd folder{};           // version 2: for the clone3(2) that makes the process
    std::vector<std::string> files{};  // version 1: a process of one thread writes "0" to each
};

class Cgroups {
public:
    // Below `mount` (/sys/fs/cgroup), in a folder `parent` of our own. Never throws for what the
    // host lacks: it is logged once.
    Cgroups(const std::string& mount, const std::string& parent);
    Cgroups(const Cgroups&) = delete;
    Cgroups& operator=(const Cgroups&) = delete;
    // Removes the parent if there is nothing in it.
    ~Cgroups();

    [[nodiscard]] bool has_memory() const noexcept;

    // Throws std::system_error.
    [[nodiscard]] CgroupEntry make(const std::string& name, const CgroupLimits& limits) const;
    // False while processes are in it.
    [[nodiscard]] bool remove(const std::string& name) const;
    // Of all that are there, whoever made them.
    [[nodiscard]] std::vector<std::string> names() const;

private:
    struct Setting {
        std::string file;
        std::uint64_t (*value)(const CgroupLimits& limits);
    };
    struct Hierarchy {
        std::string folder;
        std::vector<Setting> settings;
    };

    void find_version_2(const std::string& mount, const std::string& parent);
    void find_version_1(const std::string& mount, const std::string& parent);

    std::vector<Hierarchy> hierarchies_;
    bool is_version_2_ = false;
};

}  // namespace shoal::node
