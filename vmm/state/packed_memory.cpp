// Compressing a memory by frames, and finding a page in them.
#include "vmm/state/packed_memory.h"

#include <fcntl.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/read_at.h"
#include "vmm/state/state_error.h"

namespace shoal::state {
namespace {

constexpr int level = 3;  // takes as long as 1 and makes files 4% smaller
// Of other versions' frames: what a fault may cost.
constexpr std::uint32_t max_frame_bytes = 1 << 20;

template <typename Context, std::size_t (*free)(Context*)>
struct Free {
    void operator()(Context* context) const noexcept { free(context); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, Free<ZSTD_CCtx, ZSTD_freeCCtx>>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, Free<ZSTD_DCtx, ZSTD_freeDCtx>>;

template <typename Context>
Context checked(Context context) {
    if (!context) {
        throw std::bad_alloc{};
    }
    return context;
}

class FrameWriter {
public:
    explicit FrameWriter(NewFile& file)
        : file_{file}, zstd_{checked(Compressor{ZSTD_createCCtx()})} {
        ZSTD_CCtx_setParameter(zstd_.get(), ZSTD_c_compressionLevel, level);
        ZSTD_CCtx_setParameter(zstd_.get(), ZSTD_c_checksumFlag, 1);
    }

    [[nodiscard]] std::vector<std::byte> pack(std::span<const std::byte> plain) {
        std::vector<std::byte> packed(ZSTD_compressBound(plain.size()));
        const std::size_t size =
            ZSTD_compress2(zstd_.get(), packed.data(), packed.size(), plain.data(), plain.size());
        SHOAL_CHECK(ZSTD_isError(size) == 0);  // there is room for the worst
        packed.resize(size);
        return packed;
    }
    void add(std::span<const std::byte> packed, std::size_t plain_bytes) {
        file_.write(packed, at_);
        at_ += packed.size();
        frames_.push_back(
            {static_cast<std::uint32_t>(packed.size()), static_cast<std::uint32_t>(plain_bytes)});
    }
    void finish() { file_.write(encode_seek_table(frames_), at_); }

private:
    NewFile& file_;
    Compressor zstd_;
    std::uint64_t at_ = 0;
    std::vector<FrameSizes> frames_;
};

constexpr std::uint64_t frame_pages = packed_frame_bytes / abi::page_size;
static_assert(vmm::pages_per_word % frame_pages == 0);  // a frame's are in one word

// Those of the frame that begins with page `first`, from bit 0 on.
std::uint64_t pages_of_frame(std::span<const std::uint64_t> pages, std::uint64_t first) {
    constexpr std::uint64_t mask = (std::uint64_t{1} << frame_pages) - 1;
    return pages[first / vmm::pages_per_word] >> first % vmm::pages_per_word & mask;
}

// The frame at these bytes; pages that are not in the set are zeros, and not looked at.
std::vector<std::byte> read_touched(std::span<const std::byte> memory, std::uint64_t pages) {
    std::vector<std::byte> frame(packed_frame_bytes);
    for (std::uint64_t idx = 0; idx < frame_pages; ++idx) {
        if ((pages >> idx & 1) != 0) {
            const std::uint64_t at = idx * abi::page_size;
            std::memcpy(frame.data() + at, memory.data() + at, abi::page_size);
        }
    }
    return frame;
}

}  // namespace

struct ZstdReader {
    Decompressor context = checked(Decompressor{ZSTD_createDCtx()});
};

void write_packed(const machine::GuestMemory& memory, const MemoryMark& mark, NewFile& file) {
    SHOAL_CHECK(memory.size_bytes() % packed_frame_bytes == 0);  // it has whole MiB
    const vmm::PageSet pages = vmm::touched_pages(memory);
    FrameWriter writer{file};
    const auto packed_zeros = writer.pack(std::vector<std::byte>(packed_frame_bytes));
    for (std::uint64_t at = 0; at < memory.size_bytes(); at += packed_frame_bytes) {
        const std::uint64_t touched = pages_of_frame(pages, at / abi::page_size);
        writer.add(touched == 0 ? packed_zeros
                                : writer.pack(read_touched(memory.bytes().subspan(at), touched)),
                   packed_frame_bytes);
    }
    const std::vector<std::byte> end = encode(mark);
    writer.add(writer.pack(end), end.size());
    writer.finish();
}

bool is_packed(int fd) {
    const std::uint64_t size = file_size_bytes(fd);
    try {
        return size >= seek_table_end_bytes &&
               read_frame_count(read_at(fd, size - seek_table_end_bytes, seek_table_end_bytes)) > 0;
    } catch (const StateError&) {
        return false;
    }
}

PackedMemory::PackedMemory(std::string path, host::UniqueFd fd, std::uint64_t memory_bytes)
    : path_{std::move(path)}, fd_{std::move(fd)}, zstd_{std::make_unique<ZstdReader>()} {
    read_table(memory_bytes);
    plain_.resize(frames_.front().plain);
    const auto mark = parse_mark(read_frame(frames_.size() - 1), memory_bytes);
    if (!mark || mark->difference) {
        refuse("its last frame does not say whose memory it is");
    }
    mark_ = *mark;
}

PackedMemory::~PackedMemory() = default;

// Nothing is allocated that the file is not large enough for.
void PackedMemory::read_table(std::uint64_t memory_bytes) {
    const std::uint64_t size = file_size_bytes(fd_.get());
    const std::uint64_t end_at = size - std::min<std::uint64_t>(size, seek_table_end_bytes);
    const std::uint64_t count = read_frame_count(read_at(fd_.get(), end_at, seek_table_end_bytes));
    if (count < 2 || count - 1 > memory_bytes / abi::page_size || seek_table_bytes(count) > size) {
        refuse("it promises " + std::to_string(count) + " frames");
    }
    const std::uint64_t table_at = size - seek_table_bytes(count);
    frames_ = decode_seek_table(read_at(fd_.get(), table_at, seek_table_bytes(count)));
    check_sizes(memory_bytes);
    std::uint64_t start = 0;
    for (const FrameSizes& frame : frames_) {
        starts_.push_back(start);
        start += frame.packed;
    }
    if (start != table_at) {
        refuse("its frames have " + std::to_string(start) + " bytes and not " +
               std::to_string(table_at));
    }
}

// All frames but that of the mark have the same size.
void PackedMemory::check_sizes(std::uint64_t memory_bytes) const {
    const std::uint32_t plain = frames_.front().plain;
    if (plain == 0 || plain % abi::page_size != 0 || plain > max_frame_bytes) {
        refuse("its frames are of " + std::to_string(plain) + " bytes; whole pages up to " +
               std::to_string(max_frame_bytes) + " can be");
    }
    if (std::uint64_t{plain} * (frames_.size() - 1) != memory_bytes) {
        refuse("it is of a memory of another size than " + std::to_string(memory_bytes >> 20) +
               " MiB");
    }
    for (std::size_t idx = 0; idx < frames_.size(); ++idx) {
        const bool is_mark = idx == frames_.size() - 1;
        if (is_mark ? frames_[idx].plain > plain : frames_[idx].plain != plain) {
            refuse("frame " + std::to_string(idx) + " has another size than those before");
        }
        if (frames_[idx].packed > ZSTD_compressBound(plain)) {
            refuse("frame " + std::to_string(idx) + " is larger than it need be");
        }
    }
}

// Neighbours in one call. A hint: what comes of it is not asked.
void PackedMemory::expect(std::span<const std::uint32_t> pages) const {
    const std::uint64_t pages_each = frames_.front().plain / abi::page_size;
    vmm::PageSet frames = vmm::empty_set(frames_.size() * abi::page_size);
    for (const std::uint32_t page : pages) {
        vmm::add_range(frames, {page / pages_each, page / pages_each + 1});
    }
    for (auto range = vmm::next_range(frames, 0); range;
         range = vmm::next_range(frames, range->end)) {
        ::posix_fadvise(fd_.get(), static_cast<off_t>(starts_[range->first]),
                        static_cast<off_t>(starts_[range->end] - starts_[range->first]),
                        POSIX_FADV_WILLNEED);
    }
}

vmm::Pages PackedMemory::read(std::uint64_t offset) {
    const std::size_t idx = offset / frames_.front().plain;
    SHOAL_CHECK(idx < frames_.size() - 1);
    return {idx * std::uint64_t{frames_.front().plain}, read_frame(idx)};
}

std::span<const std::byte> PackedMemory::read_frame(std::size_t idx) {
    const FrameSizes& frame = frames_[idx];
    const std::vector<std::byte> packed = read_at(fd_.get(), starts_[idx], frame.packed);
    const std::size_t size = ZSTD_decompressDCtx(zstd_->context.get(), plain_.data(), plain_.size(),
                                                 packed.data(), packed.size());
    if (ZSTD_isError(size) != 0 || size != frame.plain) {
        refuse("frame " + std::to_string(idx) + " of " + std::to_string(frames_.size()) +
               ", at byte " + std::to_string(starts_[idx]) + ", does not decompress");
    }
    return std::span{plain_}.first(size);
}

void PackedMemory::refuse(const std::string& why) const {
    throw StateError("the compressed memory file " + path_ + " is damaged: " + why);
}

}  // namespace shoal::state
