// ReceivedDrives: the files of the drives that are copied to this host. They are new, and go again
// unless the guest runs here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"
#include "vmm/migration/hello.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {

class ReceivedDrives {
public:
    ReceivedDrives() = default;
    // Makes the files, of zeros, for this user only, where the configuration has the drives; their
    // names are on the medium. Throws std::system_error with the path; also when one is there.
    explicit ReceivedDrives(const Hello& hello);
    // Without keep() nothing is left.
    ~ReceivedDrives();
    ReceivedDrives(ReceivedDrives&&) = default;
    ReceivedDrives& operator=(ReceivedDrives&& other) noexcept {
        files_.swap(other.files_);
        return *this;
    }

    [[nodiscard]] std::vector<std::uint64_t> page_counts() const;
    // A run of a drive that is here, within its pages. Throws std::system_error.
    void put(const PageRun& run) const;
    // What was put is on the medium. Throws std::system_error.
    void sync() const;
    void keep() noexcept { files_.clear(); }

private:
    struct File {
        std::string path;
        host::UniqueFd fd;
        std::uint64_t size_bytes = 0;
    };

    std::vector<File> files_;
};

}  // namespace shoal::migration
