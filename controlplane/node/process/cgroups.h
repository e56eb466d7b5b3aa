// Cgroups: a control group for each attempt, which its processes cannot leave: its memory, its
// share of the CPUs and the number of its tasks. Version 2, or version 1 with a hierarchy per
// controller.
//
// A host without them, or that does not let us, has none: the microVMs then run without.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::node {

struct CgroupLimits {
    std::uint64_t memory_mib = 0;  // the guest's; the VMM's own comes on top
    std::uint64_t vcpus = 1;
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

    // The files that a process of one thread writes "0" to in order to enter. Throws
    // std::system_error.
    [[nodiscard]] std::vector<std::string> make(const std::string& name,
                                                const CgroupLimits& limits) const;
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
        const char* entry;
    };

    void find_version_2(const std::string& mount, const std::string& parent);
    void find_version_1(const std::string& mount, const std::string& parent);

    std::vector<Hierarchy> hierarchies_;
};

}  // namespace shoal::node
