// FileData: reading, writing, and the search for data and holes.
#include "guest/kernel/fs/file_data.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/pages.h"

namespace shoal::guest {

std::uint64_t FileData::allocated_bytes() const noexcept {
    const std::uint64_t borrowed = (lower_size_ + page_bytes - 1) / page_bytes;
    const std::uint64_t whole = size_ / page_bytes + (size_ % page_bytes == 0 ? 0 : 1);
    return std::min(page_count_ + borrowed, std::max(whole, page_count_)) * page_bytes;
}

Result<Piece> FileData::piece_at(std::uint64_t offset, std::size_t count) const noexcept {
    if (extent_.data() != nullptr && pages_.empty() && offset < lower_size_) {
        return Piece{extent_.data() + offset, std::min(count, lower_size_ - offset)};
    }
    const std::size_t within = offset % page_bytes;
    count = std::min<std::size_t>(count, page_bytes - within);
    if (const std::byte* page = own_page(offset / page_bytes)) {
        return Piece{page + within, count};
    }
    if (offset >= lower_size_) {
        return Piece{nullptr, count};
    }
    count = std::min(count, lower_size_ - offset);
    if (lower_ == nullptr) {
        return Piece{extent_.data() + offset, count};
    }
    const auto piece = lower_->piece_at(offset);
    return piece ? Result<Piece>{{piece->data, std::min(count, piece->size)}} : piece;
}

// A new page has what lay there before.
Result<std::byte*> FileData::make_page(std::uint64_t index) noexcept {
    if (std::byte* page = own_page(index)) {
        return page;
    }
    void** slot = pages_.slot(index);
    auto* page = slot == nullptr ? nullptr : static_cast<std::byte*>(allocate_file_page());
    if (page == nullptr) {
        return fail(Errno::nospc);
    }
    const std::uint64_t start = index * page_bytes;
    const std::uint64_t end = std::min(lower_size_, start + page_bytes);
    for (std::uint64_t at = start; at < end;) {
        const auto piece = piece_at(at, end - at);
        if (!piece) {
            free_page(page);
            return fail(piece.error());
        }
        if (piece->data != nullptr) {
            std::memcpy(page + (at - start), piece->data, piece->size);
        }
        at += piece->size;
    }
    *slot = page;
    ++page_count_;
    return page;
}

Result<std::size_t> FileData::read(std::uint64_t offset, Destination& to, std::size_t count) const {
    if (offset >= size_) {
        return std::size_t{0};
    }
    count = std::min(count, size_ - offset);
    std::size_t done = 0;
    Errno reason = Errno::fault;
    while (done < count) {
        const auto piece = piece_at(offset + done, count - done);
        if (!piece) {
            reason = piece.error();
            break;
        }
        if (piece->data == nullptr ? !to.put_zeros(piece->size)
                                   : !to.put({piece->data, piece->size})) {
            break;
        }
        done += piece->size;
    }
    if (done == 0 && count != 0) {
        return fail(reason);
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
        const auto made = make_page(at / page_bytes);
        if (!made) {
            reason = made.error();
            break;
        }
        std::byte* page = *made;
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
    lower_size_ = std::min(lower_size_, size_bytes);
    const std::size_t within = size_bytes % page_bytes;
    if (within != 0) {
        if (std::byte* page = own_page(size_bytes / page_bytes)) {
            std::memset(page + within, 0, page_bytes - within);
        }
    }
    page_count_ -= pages_.free_from(size_bytes / page_bytes + (within == 0 ? 0 : 1));
}

Result<void> FileData::reserve(std::uint64_t offset, std::uint64_t size_bytes) {
    if (offset > size_max || size_bytes > size_max - offset) {
        return fail(Errno::fbig);
    }
    const std::uint64_t end = (offset + size_bytes + page_bytes - 1) / page_bytes;
    for (std::uint64_t index = offset / page_bytes; index < end; ++index) {
        if (const auto made = make_page(index); !made) {
            return fail(made.error());
        }
    }
    return {};
}

const void* FileData::page_for_read(std::uint64_t index) const noexcept {
    if (own_page(index) != nullptr || index >= lower_size_ / page_bytes) {
        return nullptr;
    }
    if (lower_ != nullptr) {
        return lower_->keep_page(index);
    }
    const std::byte* at = extent_.data() + index * page_bytes;
    // SAFETY: only the alignment of the address is looked at.
    return reinterpret_cast<std::uintptr_t>(at) % page_bytes == 0 ? at : nullptr;
}

const void* FileData::page_for_sharing(std::uint64_t index) noexcept {
    if (const void* page = page_for_read(index)) {
        return page;
    }
    const auto made = make_page(index);
    return made ? *made : nullptr;
}

bool FileData::has_data(std::uint64_t index) const noexcept {
    return index * page_bytes < lower_size_ || own_page(index) != nullptr;
}

std::uint64_t FileData::next_data(std::uint64_t offset) const noexcept {
    for (std::uint64_t at = offset; at < size_; at = (at / page_bytes + 1) * page_bytes) {
        if (has_data(at / page_bytes)) {
            return at;
        }
        if (!pages_.covers(at / page_bytes)) {
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
