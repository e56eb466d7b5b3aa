// ReplacedPages: which pages of a private memory have new pages in their place, and in how many
// pieces. Each piece may split a mapping of the process in three, and Linux gives a process 65530
// (vm.max_map_count); without any left it can neither map memory nor start a thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shoal::machine {

class ReplacedPages {
public:
    // Half of the mappings that there are: a piece takes two.
    static constexpr std::size_t max_pieces = 16384;

    explicit ReplacedPages(std::uint64_t page_count) : page_count_{page_count} {}

    struct Run {
        std::uint64_t end;  // its first page is the caller's
        bool is_replaced;
    };
    // The pages from `page` on that are all replaced, or all not, up to `end` at most.
    [[nodiscard]] Run run_from(std::uint64_t page, std::uint64_t end) const noexcept;

    // Whether pages that are not replaced may be: beside others they are no piece of their own.
    [[nodiscard]] bool may_replace(std::uint64_t first, std::uint64_t end) const noexcept {
        return pieces_ < max_pieces || is_beside(first, end);
    }
    // They have been. A piece counts for ever, also when it comes to touch others: the kernel may
    // keep them apart.
    void replaced(std::uint64_t first, std::uint64_t end) noexcept;
    // Once: that there may be no more.
    void log_limit() noexcept;
    [[nodiscard]] std::size_t pieces() const noexcept { return pieces_; }

private:
    [[nodiscard]] bool has(std::uint64_t page) const noexcept {
        return page / 64 < words_.size() && (words_[page / 64] >> page % 64 & 1) != 0;
    }
    [[nodiscard]] bool is_beside(std::uint64_t first, std::uint64_t end) const noexcept {
        return (first > 0 && has(first - 1)) || has(end);
    }

    std::uint64_t page_count_;
    std::vector<std::uint64_t> words_;  // page 64 * n + b is bit b of word n; none before the first
    std::size_t pieces_ = 0;
    bool is_limit_logged_ = false;
};

}  // namespace shoal::machine
