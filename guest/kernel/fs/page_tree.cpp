// The radix tree.
#include "guest/kernel/fs/page_tree.h"

#include "guest/kernel/pages.h"

namespace shoal::guest {
namespace {

void* without_marks(void* page) noexcept {
    // SAFETY: the page that the marks were added to.
    return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(page) & ~std::uintptr_t{4095});
}

}  // namespace

bool PageTree::covers(std::uint64_t index) const noexcept {
    return root_ != nullptr && (index >> (height_ * fan_out_bits)) == 0;
}

void* PageTree::find(std::uint64_t index) const noexcept {
    if (!covers(index)) {
        return nullptr;
    }
    void* node = root_;
    for (unsigned level = height_; level > 0 && node != nullptr; --level) {
        const std::size_t at = (index >> ((level - 1) * fan_out_bits)) % fan_out;
        node = (*static_cast<Table*>(node))[at];
    }
    return node;
}

void** PageTree::slot(std::uint64_t index) noexcept {
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
    void** at = &root_;
    for (unsigned level = height_; level > 0; --level) {
        if (*at == nullptr && (*at = allocate_page()) == nullptr) {
            return nullptr;
        }
        at = &(*static_cast<Table*>(*at))[(index >> ((level - 1) * fan_out_bits)) % fan_out];
    }
    return at;
}

std::uint64_t PageTree::free_from(std::uint64_t first) noexcept {
    std::uint64_t count = 0;
    if (root_ != nullptr && free_node(root_, height_, 0, first, count)) {
        root_ = nullptr;
        height_ = 0;
    }
    return count;
}

// NOLINTNEXTLINE(misc-no-recursion): 64 bits of index bound the depth.
bool PageTree::free_node(void* node, unsigned height, std::uint64_t base, std::uint64_t first,
                         std::uint64_t& count) noexcept {
    if (height == 0) {
        if (base < first) {
            return false;
        }
        ++count;
        free_page(without_marks(node));
        return true;
    }
    Table& table = *static_cast<Table*>(node);
    const std::uint64_t step = 1ULL << ((height - 1) * fan_out_bits);
    bool is_empty = true;
    for (std::size_t at = 0; at < fan_out; ++at) {
        const std::uint64_t start = base + at * step;
        if (table[at] == nullptr) {
            continue;
        }
        if (start + step <= first || !free_node(table[at], height - 1, start, first, count)) {
            is_empty = false;
        } else {
            table[at] = nullptr;
        }
    }
    if (is_empty) {
        free_page(node);
    }
    return is_empty;
}

}  // namespace shoal::guest
