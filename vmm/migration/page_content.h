// PageContent: what a migration copies page by page: the guest's memory, and drives whose files the
// destination does not reach.
//
// All of it may change while it is copied: what is written to a page after it was read is in the
// next answer of take_written().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "devices/machine/guest_memory.h"
#include "devices/virtio/block.h"
#include "vmm/machine/page_log.h"
#include "vmm/machine/page_set.h"

namespace shoal::migration {

using vmm::count_pages;
using vmm::pages_per_word;
using vmm::PageSet;

class PageContent {
public:
    virtual ~PageContent() = default;

    // Nothing: the memory. Otherwise which of the copied drives.
    [[nodiscard]] std::optional<std::uint32_t> drive() const noexcept { return drive_; }
    // The last page of a drive may not be whole: zeros follow.
    [[nodiscard]] std::uint64_t page_count() const noexcept { return page_count_; }

    // The pages that may hold anything but zeros.
    [[nodiscard]] virtual PageSet data() const = 0;
    // Adds the pages that were written to since the last call, or since this was made.
    virtual void take_written(PageSet& pages) = 0;
    // At most max_run_pages that lie within, as they are now: in `buffer`, which has room for so
    // many and begins at a page's boundary, or where they are. Any thread. Throws
    // std::system_error.
    [[nodiscard]] virtual std::span<const std::byte> read(std::uint64_t first_page,
                                                          std::uint64_t count,
                                                          std::span<std::byte> buffer) const = 0;

protected:
    PageContent(std::optional<std::uint32_t> drive, std::uint64_t page_count) noexcept
        : drive_{drive}, page_count_{page_count} {}

private:
    std::optional<std::uint32_t> drive_;
    std::uint64_t page_count_;
};

class MemoryContent final : public PageContent {
public:
    // Borrows the memory. The log was started before.
    MemoryContent(const machine::GuestMemory& memory, std::unique_ptr<vmm::PageLog> log);

    [[nodiscard]] PageSet data() const override { return vmm::touched_pages(memory_); }
    void take_written(PageSet& pages) override { log_->take(pages); }
    [[nodiscard]] std::span<const std::byte> read(std::uint64_t first_page, std::uint64_t count,
                                                  std::span<std::byte> buffer) const override;

private:
    const machine::GuestMemory& memory_;
    std::unique_ptr<vmm::PageLog> log_;
};

class DriveContent final : public PageContent {
public:
    DriveContent(std::uint32_t drive, virtio::BlockContent content);

    [[nodiscard]] PageSet data() const override;
    void take_written(PageSet& pages) override { content_.writes->take(pages); }
    [[nodiscard]] std::span<const std::byte> read(std::uint64_t first_page, std::uint64_t count,
                                                  std::span<std::byte> buffer) const override;

private:
    virtio::BlockContent content_;
};

}  // namespace shoal::migration
