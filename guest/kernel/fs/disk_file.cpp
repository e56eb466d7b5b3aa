// Transfers through a buffer of pages that the file owns.
#include "guest/kernel/fs/disk_file.h"

#include <algorithm>

#include "guest/kernel/fs/open_file.h"
#include "guest/kernel/pages.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t page_bytes = BlockDevice::page_bytes;
constexpr std::uint64_t sector_bytes = BlockDevice::sector_bytes;

}  // namespace

DiskFile::~DiskFile() {
    for (std::byte* page : std::span{request_.pages}.first(page_count_)) {
        free_page(page);
    }
}

Result<void> DiskFile::opened(OpenFile& file) {
    return file.may_write() && device_.access() == BlockDevice::Access::read_only
               ? fail(Errno::acces)
               : Result<void>{};
}

// Precondition: `offset` lies on the disk.
Result<DiskFile::Part> DiskFile::next_part(std::uint64_t offset, std::size_t count) {
    Part part;
    part.start = offset / sector_bytes * sector_bytes;
    part.within = static_cast<std::uint32_t>(offset - part.start);
    const std::uint64_t rest = device_.size_bytes() - part.start;
    const std::uint64_t most = std::min(rest, device_.request_pages_max() * page_bytes);
    const std::uint64_t wanted = std::min<std::uint64_t>(count, most - part.within) + part.within;
    for (; page_count_ < (wanted + page_bytes - 1) / page_bytes; ++page_count_) {
        void* page = allocate_page();
        if (page == nullptr) {
            break;
        }
        request_.pages[page_count_] = static_cast<std::byte*>(page);
    }
    if (page_count_ == 0) {
        return fail(Errno::nomem);
    }
    const std::uint64_t bytes = std::min(wanted, page_count_ * page_bytes);
    part.count = static_cast<std::uint32_t>(bytes - part.within);
    part.size =
        static_cast<std::uint32_t>((bytes + sector_bytes - 1) / sector_bytes * sector_bytes);
    return part;
}

Result<void> DiskFile::move(BlockRequest::Kind kind, std::uint64_t start, std::uint32_t size) {
    request_.kind = kind;
    request_.offset = start;
    request_.size_bytes = size;
    return transfer(device_, request_);
}

template <class Function>
Result<void> DiskFile::for_pieces(const Part& part, const Function& each) {
    for (std::uint32_t done = 0; done < part.count;) {
        const std::uint64_t at = part.within + done;
        const auto size = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(part.count - done, page_bytes - at % page_bytes));
        if (!each(std::span{request_.pages[at / page_bytes] + at % page_bytes, size})) {
            return fail(Errno::fault);
        }
        done += size;
    }
    return {};
}

Result<std::size_t> DiskFile::read(OpenFile&, std::uint64_t offset, Destination& to,
                                   std::size_t count) {
    if (offset >= device_.size_bytes()) {
        return std::size_t{0};
    }
    count = std::min(count, device_.size_bytes() - offset);
    const Turn::Holder hold{turn_};
    std::size_t done = 0;
    while (done < count) {
        const auto part = next_part(offset + done, count - done);
        Result<void> moved = part ? move(BlockRequest::Kind::read, part->start, part->size)
                                  : Result<void>{fail(part.error())};
        if (moved) {
            moved = for_pieces(*part, [&](std::span<std::byte> piece) { return to.put(piece); });
        }
        if (!moved) {
            return done == 0 ? fail(moved.error()) : Result<std::size_t>{done};
        }
        done += part->count;
    }
    return done;
}

Result<std::size_t> DiskFile::write(OpenFile&, std::uint64_t offset, Source& from,
                                    std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    if (offset >= device_.size_bytes()) {
        return fail(Errno::nospc);
    }
    count = std::min(count, device_.size_bytes() - offset);
    const Turn::Holder hold{turn_};
    std::size_t done = 0;
    while (done < count) {
        const auto part = next_part(offset + done, count - done);
        Result<void> moved = part ? Result<void>{} : fail(part.error());
        if (moved && part->count != part->size) {
            moved = move(BlockRequest::Kind::read, part->start, part->size);
        }
        if (moved) {
            moved = for_pieces(*part, [&](std::span<std::byte> piece) { return from.get(piece); });
        }
        if (moved) {
            moved = move(BlockRequest::Kind::write, part->start, part->size);
        }
        if (!moved) {
            return done == 0 ? fail(moved.error()) : Result<std::size_t>{done};
        }
        done += part->count;
    }
    return done;
}

Result<void> DiskFile::sync() {
    const Turn::Holder hold{turn_};
    return move(BlockRequest::Kind::flush, 0, 0);
}

}  // namespace shoal::guest
