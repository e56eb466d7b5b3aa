// A microVM: what is wanted (MicroVmSpec, Placement) and what its host sees (MicroVmStatus).
// Names are 1 to 63 of a-z, 0-9 and '-', and begin and end with a letter or digit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/checkpoint.h"
#include "controlplane/model/host.h"

namespace shoal::model {

enum class RestartPolicy { never, on_failure, always };

// What becomes of it when its host is lost.
enum class HostFailurePolicy { none, restart, restore };

// Somebody wants it gone. Its host stops it and then deletes all that the store has of it.
struct Deletion {
    std::uint64_t grace_s = 10;  // between SIGTERM and SIGKILL
};

struct MicroVmSpec {
    std::string name;
    std::string project = "default";
    std::string group;    // empty: it stands alone
    std::string program;  // path on the host; empty: one of the next three
    // A template's name: the microVM is a clone of it, and the arguments are handed to the clone.
    std::string from_template;
    // An image's name: it is the microVM's root, and says what is run (command_of in image.h).
    std::string image;
    // The name of an image that is a kernel: it is booted, and runs whatever it runs. `image` is
    // then merely its first disk, and may be empty.
    std::string kernel;
    std::string initramfs;  // its, the name of an image; empty: none
    std::string cmdline;    // its; empty: as its image has it
    std::vector<std::string> arguments;
    std::vector<std::string> environment;  // KEY=VALUE
    std::uint64_t memory_mib = 128;
    std::uint64_t vcpus = 1;
    Labels labels;
    Labels metadata;            // for whoever reads it, its program among them: we do not
    std::int32_t priority = 0;  // higher ones may push lower ones out
    RestartPolicy restart = RestartPolicy::never;
    HostFailurePolicy on_host_failure = HostFailurePolicy::restart;
    std::optional<CheckpointPlan> checkpoint;  // of one to be restored; none: its defaults
    std::optional<std::uint64_t> time_limit_s;
    // Names, in the order of /dev/vda, /dev/vdb, ...; behind the image, where there is one.
    std::vector<std::string> volumes;
    std::string network;  // a name; empty: none
    bool vsock = false;   // a vsock device, whose unix socket the status names
    bool exec = false;    // by it, commands can be run beside the program
    // It was asked to end for good, and stays to be looked at. Set by stopping it alone.
    std::optional<Deletion> stop;

    // Of all images that it refers to.
    [[nodiscard]] std::vector<std::string> image_names() const {
        std::vector<std::string> names{image, kernel, initramfs};
        std::erase(names, "");
        return names;
    }
    // What it may take of its host's memory, its VMM aside. One that is saved while it runs may
    // take its memory twice: what it writes takes pages of its own, beside those that are being
    // saved.
    [[nodiscard]] std::uint64_t host_memory_mib() const noexcept {
        return on_host_failure == HostFailurePolicy::restore ? 2 * memory_mib : memory_mib;
    }
    [[nodiscard]] Resources resources() const noexcept {
        return {host_memory_mib(), vcpus * 1000, 1};
    }
};

// Decided by the scheduler: the host that shall run it, under that host's epoch.
struct Placement {
    std::string host;
    Epoch epoch = 0;
};

// What a host shall do with a microVM that is placed on it. Its create_revision is the placement's
// revision. The host deletes both, at once, when the microVM that shall stop is gone.
struct Assignment {
    enum class Wanted { run, stop };

    Epoch epoch = 0;
    Wanted wanted = Wanted::run;
};

enum class Phase { pending, starting, running, stopping, succeeded, failed };

struct MicroVmStatus {
    Phase phase = Phase::pending;
    std::string host;
    Epoch epoch = 0;
    std::uint64_t restarts = 0;
    std::optional<int> exit_code;  // of a program that ended
    std::string reason;            // one sentence: why it is pending or failed
    std::string started_at;        // RFC 3339
    std::string ended_at;
    std::string address;  // in its network
    std::string vsock;    // the path of its vsock device's unix socket, on its host
};

}  // namespace shoal::model
