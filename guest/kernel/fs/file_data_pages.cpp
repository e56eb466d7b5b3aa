// FileData: the radix tree of a file's own pages.
#include <algorithm>
#include <cstring>

#include "guest/kernel/fs/file_data.h"
#include "guest/kernel/pages.h"

namespace shoal::guest {

// Whether the tree is high enough for a page with this index.
bool FileData::covers(std::uint64_t index) const noexcept {
    return root_ != nullptr && (index >> (height_ * fan_out_bits)) == 0;
}

std::byte* FileData::own_page(std::uint64_t index) const noexcept {
    if (!covers(index)) {
        return nullptr;
    }
    void* node = root_;
    for (unsigned level = height_; level > 0 && node != nullptr; --level) {
        const std::size_t slot = (index >> ((level - 1) * fan_out_bits)) % fan_out;
        node = (*static_cast<Table*>(node))[slot];
    }
    return static_cast<std::byte*>(node);
}

std::byte* FileData::make_page(std::uint64_t index) noexcept {
    if (std::byte* page = own_page(index)) {
        return page;
    }
    unsigned height = 0;
    while (root_ == nullptr && (index >> (height * fan_out_bits)) != 0) {
        ++height;
    }
    if (root_ == nullptr) {
        height_ = height;
    }
    while (root_ != nullptr && !covers(index)) {
        auto* table = static_cast<Table*>(allocate_page());
        if (table == nullptr) {
            return nullptr;
        }
        (*table)[0] = root_;
        root_ = table;
        ++height_;
    }
    void** slot = &root_;
    for (unsigned level = height_; level > 0; --level) {
        if (*slot == nullptr && (*slot = allocate_page()) == nullptr) {
            return nullptr;
        }
        slot = &(*static_cast<Table*>(*slot))[(index >> ((level - 1) * fan_out_bits)) % fan_out];
    }
    auto* page = static_cast<std::byte*>(allocate_page());
    if (page == nullptr) {
        return nullptr;
    }
    *slot = page;
    ++page_count_;
    const std::uint64_t start = index * page_bytes;
    if (start < extent_.size()) {
        std::memcpy(page, extent_.data() + start,
                    std::min<std::uint64_t>(page_bytes, extent_.size() - start));
    }
    return page;
}

bool FileData::free_from(void* node, unsigned height, std::uint64_t base,
                         std::uint64_t first) noexcept {
    if (height == 0) {
        if (base < first) {
            return false;
        }
        --page_count_;
        free_page(node);
        return true;
    }
    Table& table = *static_cast<Table*>(node);
    const std::uint64_t step = 1ULL << ((height - 1) * fan_out_bits);
    bool is_empty = true;
    for (std::size_t slot = 0; slot < fan_out; ++slot) {
        const std::uint64_t start = base + slot * step;
        if (table[slot] == nullptr) {
            continue;
        }
        if (start + step <= first || !free_from(table[slot], height - 1, start, first)) {
            is_empty = false;
        } else {
            table[slot] = nullptr;
        }
    }
    if (is_empty) {
        free_page(node);
    }
    return is_empty;
}

}  // namespace shoal::guest
