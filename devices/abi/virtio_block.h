// The virtio block device (virtio 1.2, 5.2): features, configuration, requests.
#pragma once

#include <cstdint>

namespace shoal::abi::virtio::block {

inline constexpr std::uint64_t feature_seg_max = 1ULL << 2;
inline constexpr std::uint64_t feature_read_only = 1ULL << 5;
inline constexpr std::uint64_t feature_blk_size = 1ULL << 6;
inline constexpr std::uint64_t feature_flush = 1ULL << 9;
inline constexpr std::uint64_t feature_discard = 1ULL << 13;
inline constexpr std::uint64_t feature_write_zeroes = 1ULL << 14;

// The unit of every sector number, whatever blk_size says.
inline constexpr std::uint64_t sector_bytes = 512;

struct Config {
    std::uint64_t capacity_sectors;
    std::uint32_t size_max;
    std::uint32_t seg_max;  // data buffers of one request
    std::uint16_t cylinders;
    std::uint8_t heads;
    std::uint8_t sectors;
    std::uint32_t blk_size;
    std::uint8_t physical_block_exp;
    std::uint8_t alignment_offset;
    std::uint16_t min_io_size;
    std::uint32_t opt_io_size;
    std::uint8_t writeback;
    std::uint8_t unused0;
    std::uint16_t num_queues;
    std::uint32_t max_discard_sectors;
    std::uint32_t max_discard_seg;
    std::uint32_t discard_sector_alignment;
    std::uint32_t max_write_zeroes_sectors;
    std::uint32_t max_write_zeroes_seg;
    std::uint8_t write_zeroes_may_unmap;
    std::uint8_t unused1[3];
    std::uint32_t max_secure_erase_sectors;
    std::uint32_t max_secure_erase_seg;
    std::uint32_t secure_erase_sector_alignment;
};
static_assert(sizeof(Config) == 72);

enum class RequestType : std::uint32_t {
    in = 0,
    out = 1,
    flush = 4,
    get_id = 8,
    discard = 11,
    write_zeroes = 13,
};

// A request: the header and what the driver writes, then what the device writes, and at the very
// end the status. How that is cut into buffers is the driver's choice (2.7.4).
struct RequestHeader {
    RequestType type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
static_assert(sizeof(RequestHeader) == 16);

// What follows the header of discard and write_zeroes.
struct Range {
    std::uint64_t sector;
    std::uint32_t sector_count;
    std::uint32_t flags;
};
static_assert(sizeof(Range) == 16);
inline constexpr std::uint32_t range_flag_unmap = 1;

enum class RequestStatus : std::uint8_t {
    ok = 0,
    io_error = 1,
    unsupported = 2,
};

inline constexpr std::uint64_t id_bytes = 20;

}  // namespace shoal::abi::virtio::block
