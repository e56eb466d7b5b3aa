// Disk: an open raw disk image, a regular file or a block device.
//
// It only knows the image; a DiskEngine moves its bytes. Immutable after construction.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

enum class DiskAccess : std::uint8_t { read_write, read_only };

enum class DiskCaching : std::uint8_t {
    page_cache,  // the host's memory caches the image
    direct,      // O_DIRECT
};

enum class DiskIo : std::uint8_t {
    sync,   // one call after the other
    async,  // io_uring; sync where the host refuses it
};

struct DiskConfig {
    std::string path;
    DiskAccess access = DiskAccess::read_write;
    DiskCaching caching = DiskCaching::page_cache;
    DiskIo io = DiskIo::async;

    friend bool operator==(const DiskConfig&, const DiskConfig&) = default;
};

using DiskId = std::array<char, 20>;  // padded with zeros

class Disk {
public:
    static constexpr std::uint64_t sector_bytes = 512;

    // Throws std::system_error or std::invalid_argument, each with the path, when the image cannot
    // be used as `config` says.
    explicit Disk(const DiskConfig& config);

    [[nodiscard]] const DiskConfig& config() const noexcept { return config_; }
    // A last sector that is not complete does not count.
    [[nodiscard]] std::uint64_t capacity_sectors() const noexcept { return capacity_sectors_; }
    // What reads and writes should be aligned by: a power of two, 512 at least.
    [[nodiscard]] std::uint32_t block_bytes() const noexcept { return block_bytes_; }
    [[nodiscard]] bool is_read_only() const noexcept {
        return config_.access == DiskAccess::read_only;
    }
    [[nodiscard]] bool is_block_device() const noexcept { return is_block_device_; }
    [[nodiscard]] bool is_direct() const noexcept { return config_.caching == DiskCaching::direct; }
    // Stays the same for the same file on the same host.
    [[nodiscard]] const DiskId& id() const noexcept { return id_; }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    // For what O_DIRECT refuses: the same image through the page cache, where nothing stays that is
    // not written. Only when nothing else is in flight, or both would see different bytes.
    [[nodiscard]] int cached_fd() const noexcept { return is_direct() ? cached_.get() : fd_.get(); }
    // Of a direct one: another host may have written to it since.
    void forget_cached() const noexcept;
    // Whether fd() takes these buffers at this offset.
    [[nodiscard]] bool takes(std::uint64_t offset, std::span<const iovec> buffers) const noexcept;

private:
    void measure();
    void measure_device(std::uint64_t& size_bytes);
    void measure_direct_alignment();

    DiskConfig config_;
    host::UniqueFd fd_;
    host::UniqueFd cached_;  // when fd_ is direct
    std::uint64_t capacity_sectors_ = 0;
    std::uint32_t block_bytes_ = sector_bytes;
    std::uint32_t offset_alignment_ = 1;  // of direct calls
    std::uint32_t memory_alignment_ = 1;
    bool is_block_device_ = false;
    DiskId id_{};
};

}  // namespace shoal::backend
