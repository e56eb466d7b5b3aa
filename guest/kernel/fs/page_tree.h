// PageTree: pages by their index, in a radix tree of pages with 512 pointers each, whose height
// follows the largest index.
//
// The low 12 bits of a pointer are the owner's, for marks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shoal::guest {

class PageTree {
public:
    PageTree() noexcept = default;
    PageTree(const PageTree&) = delete;
    PageTree& operator=(const PageTree&) = delete;
    ~PageTree() { free_from(0); }

    [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }
    // Whether the tree is high enough for a page with this index.
    [[nodiscard]] bool covers(std::uint64_t index) const noexcept;
    // nullptr when there is no such page.
    [[nodiscard]] void* find(std::uint64_t index) const noexcept;
    // Where the page is or will be: nullptr in it until the caller puts one there. nullptr when
    // memory is gone.
    [[nodiscard]] void** slot(std::uint64_t index) noexcept;
    // Frees the pages from `first` on, and returns how many.
    std::uint64_t free_from(std::uint64_t first) noexcept;

private:
    static constexpr unsigned fan_out_bits = 9;
    static constexpr std::size_t fan_out = 1U << fan_out_bits;
    using Table = void* [fan_out];

    // True when nothing is left of the node.
    bool free_node(void* node, unsigned height, std::uint64_t base, std::uint64_t first,
                   std::uint64_t& count) noexcept;

    void* root_ = nullptr;  // height 0: the page with index 0; else a Table
    unsigned height_ = 0;
};

}  // namespace shoal::guest
