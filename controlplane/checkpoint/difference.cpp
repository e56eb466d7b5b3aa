// SHOALDIF, two ids of 16 bytes, and the set.
#include "controlplane/checkpoint/difference.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "controlplane/checkpoint/page_sums.h"

namespace shoal::checkpoints {
namespace {

constexpr std::string_view magic = "SHOALDIF";
constexpr std::size_t head_bytes = magic.size() + 2 * std::size_t{16};

std::uint64_t words_for(std::uint64_t memory_bytes) {
    return (memory_bytes / page_bytes + 63) / 64;
}

}  // namespace

std::optional<std::vector<std::uint64_t>> pages_in_mark(std::span<const std::byte> mark,
                                                        std::uint64_t memory_bytes) {
    const std::uint64_t words = words_for(memory_bytes);
    if (memory_bytes > max_file_bytes || mark.size() != head_bytes + words * 8 ||
        std::memcmp(mark.data(), magic.data(), magic.size()) != 0) {
        return std::nullopt;
    }
    std::vector<std::uint64_t> pages(words);
    if (words != 0) {
        std::memcpy(pages.data(), &mark[head_bytes], words * 8);
    }
    const std::uint64_t in_last_word = memory_bytes / page_bytes % 64;
    const bool has_more = in_last_word != 0 && pages.back() >> in_last_word != 0;
    return has_more ? std::nullopt : std::optional{std::move(pages)};
}

std::vector<std::uint64_t> pages_of_difference(const std::string& path,
                                               std::uint64_t memory_bytes) {
    const std::uint64_t mark_bytes = head_bytes + words_for(memory_bytes) * 8;
    std::optional<std::vector<std::uint64_t>> pages;
    if (std::filesystem::file_size(path) == memory_bytes + mark_bytes) {
        std::vector<char> mark(mark_bytes);
        std::ifstream file{path, std::ios::binary};
        file.seekg(static_cast<std::streamoff>(memory_bytes));
        if (file.read(mark.data(), static_cast<std::streamsize>(mark.size()))) {
            pages = pages_in_mark(std::as_bytes(std::span{mark}), memory_bytes);
        }
    }
    if (!pages) {
        throw std::runtime_error{path + " has no difference to a memory of " +
                                 std::to_string(memory_bytes >> 20) + " MiB"};
    }
    return *std::move(pages);
}

}  // namespace shoal::checkpoints
