// PageSums: a checksum (CRC-32C) for each page of a file, so that damage to it is found however it
// has come about, and so that a file of which a few pages are replaced is not read whole.
//
//   SHOALSUM, size of the file in bytes (8 bytes), a sum for each page (4), the sum of all this (4)
//
// in little-endian. The last page may be cut short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace shoal::checkpoints {

inline constexpr std::uint64_t page_bytes = 4096;
// As much as one host takes from another.
inline constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 40;

// Something is not as it was received. Its sentence says what and where.
class Damage : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct PageSums {
    std::uint64_t size_bytes = 0;
    std::vector<std::uint32_t> pages;

    bool operator==(const PageSums&) const = default;
};

[[nodiscard]] std::vector<std::byte> encode(const PageSums& sums);
// Nothing: they are no sums, or damaged.
[[nodiscard]] std::optional<PageSums> parse_sums(std::span<const std::byte> bytes);

// Those of a file, of which holes are not read. These wait for the disk; they throw
// std::system_error, and std::runtime_error for a file that is too large.
[[nodiscard]] PageSums sums_of(const std::string& path);
// Of the pages in the set (64 to a word, the lowest bit first), as the file has them; all are
// within the sums.
void update_sums(PageSums& sums, const std::string& path, std::span<const std::uint64_t> pages);

// Beside the file, durably only once that is flushed.
[[nodiscard]] std::string sums_beside(const std::string& path);
void write_sums(const std::string& path, const PageSums& sums);
// Throws Damage when there are none that are whole.
[[nodiscard]] PageSums read_sums(const std::string& path);
// Throws Damage when the file is not as its sums say.
void expect_sound(const std::string& path);

}  // namespace shoal::checkpoints
