// Which file each ready table is for, read from the tables.
#include "guest/kernel/ready_tables.h"

#include <algorithm>

#include "devices/abi/ready_tables.h"
#include "guest/kernel/page_table.h"

namespace shoal::guest {

constinit ReadyTables ready_tables;

void ReadyTables::look() {
    constexpr std::size_t per_table = abi::ready_tables::entries_per_table;
    for (std::uint64_t at = NUB_TABLES_START; at < shoal_ready_end; at += page_size) {
        const auto* entries = static_cast<const std::uint64_t*>(kernel_address(at));
        for (std::size_t idx = 0; idx < per_table; ++idx) {
            const PageEntry page{PageKind::small, entries[idx], nullptr};
            if ((page.value & abi::ready_tables::entry_file_start) != 0) {
                files_.push_back({page.physical(), {at, 0, idx, 0}});
            }
            if ((page.value & NUB_PTE_PRESENT) != 0 && !files_.empty()) {
                Run& run = files_.back().run;
                run.count = (at - run.start) / page_size + 1;
                run.pages = (run.count - 1) * per_table + idx + 1 - run.first_entry;
            }
        }
    }
}

std::optional<ReadyTables::Run> ReadyTables::find(const void* first_page) const {
    const auto file = std::ranges::find(files_, physical_address(first_page), &File::first_page);
    return file == files_.end() ? std::nullopt : std::optional{file->run};
}

void ReadyTables::take(const Run& run) {
    std::erase_if(files_, [&](const File& file) { return file.run.start == run.start; });
}

}  // namespace shoal::guest
