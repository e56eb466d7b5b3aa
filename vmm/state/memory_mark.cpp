// The end of a memory file.
#include "vmm/state/memory_mark.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "devices/abi/address_map.h"
#include "vmm/state/decode.h"
#include "vmm/state/encode.h"
#include "vmm/state/read_at.h"

namespace shoal::state {
namespace {

constexpr std::string_view whole_magic = "SHOALMEM";
constexpr std::string_view difference_magic = "SHOALDIF";
constexpr std::size_t whole_mark_bytes = whole_magic.size() + sizeof(SnapshotId);
constexpr std::size_t difference_head_bytes = whole_mark_bytes + sizeof(SnapshotId);

std::size_t difference_mark_bytes(std::uint64_t memory_bytes) {
    return difference_head_bytes + vmm::empty_set(memory_bytes).size() * sizeof(std::uint64_t);
}

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
    return bytes.size() >= magic.size() &&
           std::ranges::equal(bytes.first(magic.size()), std::as_bytes(std::span{magic}));
}

bool has_bits_behind(std::span<const std::uint64_t> pages, std::uint64_t memory_bytes) {
    const std::uint64_t in_last_word = memory_bytes / abi::page_size % 64;
    return in_last_word != 0 && pages.back() >> in_last_word != 0;
}

}  // namespace

std::vector<std::byte> encode(const MemoryMark& mark) {
    Encoder encoder;
    encoder.write_bytes(std::as_bytes(std::span{mark.difference ? difference_magic : whole_magic}));
    encoder.write(mark.id);
    if (mark.difference) {
        encoder.write(mark.difference->base);
        for (const std::uint64_t word : mark.difference->pages) {
            encoder.write(word);
        }
    }
    return std::move(encoder).take_bytes();
}

std::optional<MemoryMark> parse_mark(std::span<const std::byte> bytes, std::uint64_t memory_bytes) {
    const bool is_whole = bytes.size() == whole_mark_bytes && starts_with(bytes, whole_magic);
    const bool is_difference =
        bytes.size() == difference_mark_bytes(memory_bytes) && starts_with(bytes, difference_magic);
    if (!is_whole && !is_difference) {
        return std::nullopt;
    }
    Decoder decoder{bytes.subspan(whole_magic.size()), "the end of the memory file"};
    MemoryMark mark;
    decoder.read(mark.id);
    if (is_difference) {
        Difference& difference = mark.difference.emplace();
        decoder.read(difference.base);
        difference.pages = vmm::empty_set(memory_bytes);
        for (std::uint64_t& word : difference.pages) {
            decoder.read(word);
        }
        if (has_bits_behind(difference.pages, memory_bytes)) {
            return std::nullopt;
        }
    }
    return mark;
}

std::optional<MemoryMark> read_mark(int fd, std::uint64_t memory_bytes) {
    const std::uint64_t size = file_size_bytes(fd);
    if (size < memory_bytes || size - memory_bytes > difference_mark_bytes(memory_bytes)) {
        return std::nullopt;
    }
    return parse_mark(read_at(fd, memory_bytes, size - memory_bytes), memory_bytes);
}

std::optional<std::uint64_t> whole_memory_bytes(int fd) {
    const std::uint64_t size = file_size_bytes(fd);
    if (size <= whole_mark_bytes || (size - whole_mark_bytes) % abi::page_size != 0) {
        return std::nullopt;
    }
    const std::uint64_t memory_bytes = size - whole_mark_bytes;
    return parse_mark(read_at(fd, memory_bytes, whole_mark_bytes), memory_bytes)
               ? std::optional{memory_bytes}
               : std::nullopt;
}

}  // namespace shoal::state
