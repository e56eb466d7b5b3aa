// Provisions: what a microVM needs of its host beside processes (a template, a disk, an address).
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

#include "controlplane/model/microvm.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/process/runner.h"

namespace shoal::node {

// It cannot be started now, for the reason that it says in a sentence; later perhaps.
class NotYet : public std::runtime_error {
public:
    explicit NotYet(const std::string& reason,
                    std::chrono::milliseconds retry = std::chrono::seconds{1})
        : std::runtime_error{reason}, retry_{retry} {}

    [[nodiscard]] std::chrono::milliseconds retry() const noexcept { return retry_; }

private:
    std::chrono::milliseconds retry_;
};

// It cannot go on from its checkpoint, for the reason that it says: it begins anew.
class NoCheckpoint : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// What the store has of a volume. Throws NotYet.
[[nodiscard]] inline const Object<model::Volume>& record_of(const Mirror& mirror,
                                                            const std::string& volume) {
    const auto& all = mirror.objects().volumes;
    const auto found = all.find(volume);
    if (found == all.end()) {
        throw NotYet{"there is no volume " + volume};
    }
    return found->second;
}

// On the loop's thread.
class Provisions {
public:
    virtual ~Provisions() = default;

    // Adds to a launch what the microVM refers to. Throws NotYet, NoCheckpoint
    // or std::system_error.
    virtual void prepare(const MicroVm& microvm, Launch& launch) = 0;
    // The file of its image, here and whole; empty: it has none. Throws NotYet.
    [[nodiscard]] virtual std::string root_of(const MicroVm& microvm) = 0;
    // Its TAP in its network here, ready; empty: it has no network. Throws NotYet.
    [[nodiscard]] virtual std::string tap_of(const MicroVm& microvm) = 0;
    // The files of its volumes here, in their order. Throws NotYet.
    [[nodiscard]] virtual std::vector<std::string> disks_of(const MicroVm& microvm) = 0;
    // What others are to know of one that runs.
    virtual void describe(const MicroVm& microvm, const Attempt& attempt,
                          model::MicroVmStatus& status) const = 0;
};

}  // namespace shoal::node
