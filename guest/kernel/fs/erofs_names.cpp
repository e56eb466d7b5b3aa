// EROFS: the names of a directory. Each of its blocks is a table of entries and the names behind
// it.
#include <algorithm>
#include <cstring>

#include "guest/kernel/fs/directory.h"
#include "guest/kernel/fs/erofs_image.h"

namespace shoal::guest {

using namespace erofs;

namespace {

// One block of a directory, which may be cut off at the directory's end.
class NameBlock {
public:
    [[nodiscard]] static Result<NameBlock> open(Piece piece) {
        NameBlock block{piece};
        if (piece.data == nullptr || piece.size < sizeof(DirectoryEntry)) {
            return fail(Errno::uclean);
        }
        // The first name begins where the table ends.
        const std::uint16_t table_bytes = block.entry(0).name_offset;
        if (table_bytes == 0 || table_bytes % sizeof(DirectoryEntry) != 0 ||
            table_bytes >= piece.size) {
            return fail(Errno::uclean);
        }
        block.count_ = table_bytes / sizeof(DirectoryEntry);
        return block;
    }

    [[nodiscard]] std::size_t count() const { return count_; }

    [[nodiscard]] Result<ErofsName> name(std::size_t at) const {
        const DirectoryEntry raw = entry(at);
        const std::size_t start = raw.name_offset;
        const std::size_t end = at + 1 < count_ ? entry(at + 1).name_offset : piece_.size;
        if (start < count_ * sizeof raw || end > piece_.size || start >= end) {
            return fail(Errno::uclean);
        }
        // SAFETY: bytes seen as chars.
        std::string_view name{reinterpret_cast<const char*>(piece_.data + start), end - start};
        if (at + 1 == count_) {
            name = name.substr(0, name.find('\0'));  // the last one is padded
        }
        if (name.empty() || name.size() > name_size_max ||
            name.find_first_of({"/\0", 2}) != std::string_view::npos) {
            return fail(Errno::uclean);
        }
        return ErofsName{name, raw.nid_low | std::uint64_t{raw.nid_high} << 32};
    }

private:
    explicit NameBlock(Piece piece) noexcept : piece_{piece} {}
    friend class Result<NameBlock>;
    NameBlock() noexcept = default;

    // Precondition: it lies in the piece.
    [[nodiscard]] DirectoryEntry entry(std::size_t at) const {
        DirectoryEntry raw;
        std::memcpy(&raw, piece_.data + at * sizeof raw, sizeof raw);
        return raw;
    }

    Piece piece_{};
    std::size_t count_ = 0;
};

bool is_dot(std::string_view name) {
    return name == "." || name == "..";
}

}  // namespace

// Among the blocks by their first names, then through the one that may hold it.
Result<std::uint64_t> ErofsImage::find_name(const ErofsInode& directory,
                                            std::string_view name) const {
    ReadAhead single;
    const auto open_block = [&](std::uint64_t index) -> Result<NameBlock> {
        const auto piece = piece_at(directory, index * block_bytes, single);
        return piece ? NameBlock::open(*piece) : fail(piece.error());
    };
    std::uint64_t first = 0;
    std::uint64_t end = (directory.size + block_bytes - 1) / block_bytes;
    while (end - first > 1) {
        const std::uint64_t middle = first + (end - first) / 2;
        const auto block = open_block(middle);
        const auto lowest = block ? block->name(0) : fail(block.error());
        if (!lowest) {
            return fail(lowest.error());
        }
        (lowest->name <= name ? first : end) = middle;
    }
    const auto block = end == 0 ? fail(Errno::noent) : open_block(first);
    for (std::size_t at = 0; block && at < block->count(); ++at) {
        const auto found = block->name(at);
        if (!found) {
            return fail(found.error());
        }
        if (found->name == name) {
            return found->nid;
        }
    }
    return fail(block ? Errno::noent : block.error());
}

Result<void> ErofsImage::visit_names(const ErofsInode& directory, ErofsNameVisitor& visitor) const {
    ReadAhead ahead{.next = directory.start};
    for (std::uint64_t offset = 0; offset < directory.size; offset += block_bytes) {
        // Visitors read other blocks of the image, which may take this one's place.
        std::array<std::byte, block_bytes> copy;
        const auto piece = piece_at(directory, offset, ahead);
        if (!piece || piece->data == nullptr) {
            return fail(piece ? Errno::uclean : piece.error());
        }
        std::memcpy(copy.data(), piece->data, piece->size);
        const auto block = NameBlock::open({copy.data(), piece->size});
        for (std::size_t at = 0; block && at < block->count(); ++at) {
            const auto name = block->name(at);
            if (!name) {
                return fail(name.error());
            }
            if (is_dot(name->name)) {
                continue;
            }
            if (const auto visited = visitor.visit(*name); !visited) {
                return visited;
            }
        }
        if (!block) {
            return fail(block.error());
        }
    }
    return {};
}

}  // namespace shoal::guest
