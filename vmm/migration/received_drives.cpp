// Files of drives on the side that receives them.
#include "vmm/migration/received_drives.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "devices/host/os_error.h"
#include "vmm/state/new_file.h"

namespace shoal::migration {
namespace {

const std::string& path_of(const vmm::MicrovmConfig& config, const std::string& drive_id) {
    return *std::ranges::find(config.drives, drive_id, &vmm::DriveConfig::drive_id)->path_on_host;
}

void write(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
           const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t size = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (size < 0 && errno != EINTR) {
            host::throw_os_error("writing the disk image " + path);
        }
        const auto done = static_cast<std::size_t>(std::max<ssize_t>(size, 0));
        offset += done;
        bytes = bytes.subspan(done);
    }
}

// The file keeps its size.
void put_zeros(int fd, std::uint64_t offset, std::uint64_t size_bytes, const std::string& path) {
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(size_bytes)) == 0) {
        return;
    }
    if (errno != EOPNOTSUPP) {
        host::throw_os_error("zeros in the disk image " + path);
    }
    static constexpr std::array<std::byte, max_run_pages * page_bytes> zeros{};
    write(fd, offset, std::span{zeros}.first(size_bytes), path);
}

}  // namespace

// Delegates, so that the destructor takes away what was made when something fails.
ReceivedDrives::ReceivedDrives(const Hello& hello) : ReceivedDrives{} {
    for (const CopiedDrive& drive : hello.drives) {
        const std::string& path = path_of(hello.config, drive.drive_id);
        constexpr mode_t for_its_user = 0600;
        host::UniqueFd fd{
            ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, for_its_user)};
        if (!fd) {
            host::throw_os_error("cannot make the disk image " + path);
        }
        files_.push_back({path, std::move(fd), drive.size_bytes});
        if (::ftruncate(files_.back().fd.get(), static_cast<off_t>(drive.size_bytes)) != 0) {
            host::throw_os_error("cannot make the disk image " + path + " as large as the drive");
        }
        state::sync_folder_of(path);
    }
}

ReceivedDrives::~ReceivedDrives() {
    for (const File& file : files_) {
        ::unlink(file.path.c_str());
    }
}

std::vector<std::uint64_t> ReceivedDrives::page_counts() const {
    std::vector<std::uint64_t> counts;
    for (const File& file : files_) {
        counts.push_back((file.size_bytes + page_bytes - 1) / page_bytes);
    }
    return counts;
}

// The last page may reach beyond the drive's end.
void ReceivedDrives::put(const PageRun& run) const {
    const File& file = files_.at(*run.drive);
    const std::uint64_t from = run.first_page * page_bytes;
    const std::uint64_t size_bytes =
        std::min(run.page_count * page_bytes, file.size_bytes - std::min(from, file.size_bytes));
    if (size_bytes == 0) {
        return;
    }
    if (run.bytes.empty()) {
        put_zeros(file.fd.get(), from, size_bytes, file.path);
    } else {
        write(file.fd.get(), from, run.bytes.first(size_bytes), file.path);
    }
}

void ReceivedDrives::sync() const {
    for (const File& file : files_) {
        if (::fdatasync(file.fd.get()) != 0) {
            host::throw_os_error("fdatasync of the disk image " + file.path);
        }
    }
}

}  // namespace shoal::migration
