// Gzip: one call of zlib's inflate into memory of the size that the trailer promises.
#include "guest/kernel/fs/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

#ifdef SHOAL_GUEST
// zlib's default allocator would bring in malloc(). It is never called: inflate is given ours.
extern "C" {
voidpf zcalloc(voidpf, unsigned, unsigned) {
    return nullptr;
}
void zcfree(voidpf, voidpf) {}
}
#endif

namespace shoal::guest {
namespace {

constexpr std::size_t shortest_gzip = 18;  // header and trailer
constexpr int gzip_window_bits = 15 + 16;  // zlib: the largest window, gzip framing

// inflate's state and window: 7 KiB and 32 KiB. It allocates no more than this, and at once.
class Arena {
public:
    static voidpf allocate(voidpf arena, uInt count, uInt size) {
        return static_cast<Arena*>(arena)->take(std::uint64_t{count} * size);
    }
    static void release(voidpf, voidpf) {}

    explicit Arena(std::span<std::byte> memory) noexcept : rest_{memory} {}

private:
    void* take(std::uint64_t size) {
        size = (size + 15) / 16 * 16;
        if (size > rest_.size()) {
            return nullptr;
        }
        void* taken = rest_.data();
        rest_ = rest_.subspan(size);
        return taken;
    }

    std::span<std::byte> rest_;
};
constexpr std::size_t arena_bytes = 48 * 1024;

// inflate_fast copies in pieces, but never writes beyond avail_out.
int run(z_stream& stream, std::span<const std::byte> from, std::span<std::byte> to) {
    constexpr std::size_t piece_max = 1U << 30;  // avail_in and avail_out have 32 bits
    int result = Z_OK;
    while (result == Z_OK) {
        if (stream.avail_in == 0) {
            const auto piece = from.first(std::min(from.size(), piece_max));
            // SAFETY: zlib's interface is not const-correct; it only reads.
            stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
            stream.avail_in = static_cast<uInt>(piece.size());
            from = from.subspan(piece.size());
        }
        if (stream.avail_out == 0) {
            const auto piece = to.first(std::min(to.size(), piece_max));
            // SAFETY: bytes seen as unsigned chars.
            stream.next_out = reinterpret_cast<Bytef*>(piece.data());
            stream.avail_out = static_cast<uInt>(piece.size());
            to = to.subspan(piece.size());
        }
        result = inflate(&stream, Z_NO_FLUSH);
    }
    return result;
}

const char* reason_of(int result) {
    switch (result) {
        case Z_BUF_ERROR:
            return "the compressed data is cut short, or larger than its trailer says";
        case Z_MEM_ERROR:
            return "inflate needs more memory than it was given";
        default:
            return "the compressed data is damaged";
    }
}

}  // namespace

bool is_gzip(std::span<const std::byte> bytes) noexcept {
    return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B};
}

std::expected<std::span<const std::byte>, ArchiveError> inflate_gzip(
    std::span<const std::byte> compressed, ContiguousFunction allocate) {
    if (compressed.size() < shortest_gzip) {
        return std::unexpected(ArchiveError{"the compressed data is cut short", 0});
    }
    std::uint32_t size = 0;  // RFC 1952: ISIZE, little-endian
    std::memcpy(&size, compressed.data() + compressed.size() - sizeof size, sizeof size);
    // Deflate cannot do better than 1032 to 1: do not ask for memory that no data can fill.
    if (size / 1032 > compressed.size()) {
        return std::unexpected(ArchiveError{"its trailer says more than it can hold", 0});
    }
    auto* memory = static_cast<std::byte*>(allocate(arena_bytes));
    auto* output = static_cast<std::byte*>(allocate(std::max<std::size_t>(size, 1)));
    if (memory == nullptr || output == nullptr) {
        return std::unexpected(ArchiveError{"there is not enough memory to inflate it", 0});
    }
    Arena arena{{memory, arena_bytes}};
    z_stream stream{};
    stream.zalloc = &Arena::allocate;
    stream.zfree = &Arena::release;
    stream.opaque = &arena;
    int result = inflateInit2(&stream, gzip_window_bits);
    if (result == Z_OK) {
        result = run(stream, compressed, {output, size});
    }
    if (result != Z_STREAM_END) {
        return std::unexpected(ArchiveError{reason_of(result), stream.total_in});
    }
    if (stream.total_in != compressed.size() || stream.total_out != size) {
        return std::unexpected(
            ArchiveError{"something else follows the compressed data", stream.total_in});
    }
    return std::span<const std::byte>{output, size};
}

}  // namespace shoal::guest
