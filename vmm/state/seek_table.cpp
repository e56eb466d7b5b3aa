// The fields of zstd's seekable format.
#include "vmm/state/seek_table.h"

#include <utility>

#include "vmm/state/decode.h"
#include "vmm/state/encode.h"
#include "vmm/state/state_error.h"

namespace shoal::state {
namespace {

constexpr std::uint32_t skippable_magic = 0x184D2A5E;
constexpr std::uint32_t seekable_magic = 0x8F92EAB1;
constexpr std::size_t head_bytes = 8;  // the skippable frame's, which its length does not count
constexpr const char* what = "the seek table";

}  // namespace

std::vector<std::byte> encode_seek_table(std::span<const FrameSizes> frames) {
    Encoder table;
    table.write(skippable_magic);
    table.write(static_cast<std::uint32_t>(seek_table_bytes(frames.size()) - head_bytes));
    for (const FrameSizes& frame : frames) {
        table.write(frame.packed);
        table.write(frame.plain);
    }
    table.write(static_cast<std::uint32_t>(frames.size()));
    table.write(std::byte{0});  // no checksums
    table.write(seekable_magic);
    return std::move(table).take_bytes();
}

std::uint32_t read_frame_count(std::span<const std::byte> end) {
    Decoder decoder{end, what};
    std::uint32_t count = 0;
    std::byte descriptor{};
    std::uint32_t magic = 0;
    decoder.read(count);
    decoder.read(descriptor);
    decoder.read(magic);
    if (magic != seekable_magic || descriptor != std::byte{0}) {
        throw StateError("there is no seek table at its end");
    }
    return count;
}

std::vector<FrameSizes> decode_seek_table(std::span<const std::byte> table) {
    const std::size_t size = table.size();
    const std::uint32_t count = read_frame_count(table.last(std::min(size, seek_table_end_bytes)));
    Decoder decoder{table, what};
    std::uint32_t magic = 0;
    std::uint32_t length = 0;
    decoder.read(magic);
    decoder.read(length);
    if (magic != skippable_magic || size != seek_table_bytes(count) ||
        length != size - head_bytes) {
        throw StateError("the seek table at its end is damaged");
    }
    std::vector<FrameSizes> frames(count);
    for (FrameSizes& frame : frames) {
        decoder.read(frame.packed);
        decoder.read(frame.plain);
    }
    return frames;
}

}  // namespace shoal::state
