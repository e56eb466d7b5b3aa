// FileData: reading, writing, and the search for data and holes.
#include "guest/kernel/fs/file_data.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/pages.h"

namespace shoal::guest {

FileData::~FileData() {
    if (root_ != nullptr) {
        free_from(root_, height_, 0, 0);
    }
}

std::uint64_t FileData::allocated_bytes() const noexcept {
    const std::uint64_t borrowed = (extent_.size() + page_bytes - 1) / page_bytes;
    const std::uint64_t whole = size_ / page_bytes + (size_ % page_bytes == 0 ? 0 : 1);
    return std::min(page_count_ + borrowed, std::max(whole, page_count_)) * page_bytes;
}

FileData::Piece FileData::piece_at(std::uint64_t offset, std::size_t count) const noexcept {
    const std::size_t within = offset % page_bytes;
    if (root_ == nullptr) {
        if (offset >= extent_.size()) {
            return {nullptr, count};
        }
        return {extent_.data() + offset, std::min(count, extent_.size() - offset)};
    }
    const std::size_t in_page = std::min<std::size_t>(count, page_bytes - within);
    if (const std::byte* page = own_page(offset / page_bytes)) {
        return {page + within, in_page};
    }
    if (offset >= extent_.size()) {
        return {nullptr, in_page};
    }
    return {extent_.data() + offset, std::min(in_page, extent_.size() - offset)};
}

Result<std::size_t> FileData::read(std::uint64_t offset, Destination& to, std::size_t count) const {
    if (offset >= size_) {
        return std::size_t{0};
    }
    count = std::min(count, size_ - offset);
    std::size_t done = 0;
    while (done < count) {
        const Piece piece = piece_at(offset + done, count - done);
        if (piece.data == nullptr ? !to.put_zeros(piece.size) : !to.put({piece.data, piece.size})) {
            break;
        }
        done += piece.size;
    }
    if (done == 0 && count != 0) {
        return fail(Errno::fault);
    }
    return done;
}

Result<std::size_t> FileData::write(std::uint64_t offset, Source& from, std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    if (offset >= size_max) {
        return fail(Errno::fbig);
    }
    count = std::min(count, size_max - offset);
    std::size_t done = 0;
    Errno reason = Errno::nospc;
    while (done < count) {
        const std::uint64_t at = offset + done;
        const std::size_t within = at % page_bytes;
        const std::size_t size = std::min<std::size_t>(count - done, page_bytes - within);
        std::byte* page = make_page(at / page_bytes);
        if (page == nullptr) {
            break;
        }
        if (!from.get({page + within, size})) {
            reason = Errno::fault;
            // Bytes that did arrive must not show beyond the end.
            if (at + size > size_) {
                const std::size_t keep = size_ <= at ? 0 : static_cast<std::size_t>(size_ - at);
                std::memset(page + within + keep, 0, size - keep);
            }
            break;
        }
        done += size;
        size_ = std::max(size_, at + size);
    }
    if (done == 0) {
        return fail(reason);
    }
    return done;
}

Result<void> FileData::resize(std::uint64_t size_bytes) {
    if (size_bytes > size_max) {
        return fail(Errno::fbig);
    }
    if (size_bytes < size_) {
        shrink(size_bytes);
    }
    size_ = size_bytes;
    return {};
}

void FileData::shrink(std::uint64_t size_bytes) noexcept {
    extent_ = extent_.first(std::min<std::uint64_t>(extent_.size(), size_bytes));
    if (root_ == nullptr) {
        return;
    }
    const std::size_t within = size_bytes % page_bytes;
    if (within != 0) {
        if (std::byte* page = own_page(size_bytes / page_bytes)) {
            std::memset(page + within, 0, page_bytes - within);
        }
    }
    const std::uint64_t first = size_bytes / page_bytes + (within == 0 ? 0 : 1);
    if (free_from(root_, height_, 0, first)) {
        root_ = nullptr;
        height_ = 0;
    }
}

Result<void> FileData::reserve(std::uint64_t offset, std::uint64_t size_bytes) {
    if (offset > size_max || size_bytes > size_max - offset) {
        return fail(Errno::fbig);
    }
    const std::uint64_t end = (offset + size_bytes + page_bytes - 1) / page_bytes;
    for (std::uint64_t index = offset / page_bytes; index < end; ++index) {
        if (make_page(index) == nullptr) {
            return fail(Errno::nospc);
        }
    }
    return {};
}

const void* FileData::page_for_read(std::uint64_t index) const noexcept {
    if (index >= (size_ + page_bytes - 1) / page_bytes) {
        return nullptr;
    }
    if (const std::byte* page = own_page(index)) {
        return page;
    }
    if (index >= extent_.size() / page_bytes) {
        return nullptr;
    }
    const std::byte* at = extent_.data() + index * page_bytes;
    // SAFETY: only the alignment of the address is looked at.
    return reinterpret_cast<std::uintptr_t>(at) % page_bytes == 0 ? at : nullptr;
}

bool FileData::has_data(std::uint64_t index) const noexcept {
    return index * page_bytes < extent_.size() || own_page(index) != nullptr;
}

std::uint64_t FileData::next_data(std::uint64_t offset) const noexcept {
    for (std::uint64_t at = offset; at < size_; at = (at / page_bytes + 1) * page_bytes) {
        if (has_data(at / page_bytes)) {
            return at;
        }
        if (!covers(at / page_bytes)) {
            break;
        }
    }
    return size_;
}

std::uint64_t FileData::next_hole(std::uint64_t offset) const noexcept {
    for (std::uint64_t at = offset; at < size_; at = (at / page_bytes + 1) * page_bytes) {
        if (!has_data(at / page_bytes)) {
            return at;
        }
    }
    return size_;
}

}  // namespace shoal::guest
