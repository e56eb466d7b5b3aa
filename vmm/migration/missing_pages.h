// MissingPages: the memory of a guest that runs at the destination of a post-copy before all of it
// is there.
//
// A page comes once: because the guest waits for it, over the connection that is for that, or in
// its turn with the others. Who takes it out of the set puts it into the memory; it never comes
// over what the guest has written since. What is in no set is zeros.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "vmm/machine/page_filler.h"
#include "vmm/migration/channel.h"
#include "vmm/migration/page_content.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {

class MissingPages {
public:
    // `pages` are holes in the memory, which is borrowed, and no others are to come. `on_loss` gets
    // a sentence, on another thread, when a page that the guest waits for cannot be had; when it
    // returns, whoever waits goes on waiting. Throws std::system_error.
    MissingPages(const machine::GuestMemory& memory, PageSet pages, Channel wants,
                 vmm::PageFiller::LossHandler on_loss);

    // A run of the memory's in its turn. Throws std::system_error.
    void put(const PageRun& run);
    [[nodiscard]] std::uint64_t count() const;

private:
    class Wanted;

    // The page, and those beside it that are missing, too: at most max_want_pages. Nothing: it is
    // not missing.
    [[nodiscard]] std::optional<vmm::PageRange> take_around(std::uint64_t page);
    [[nodiscard]] bool take(std::uint64_t page);

    mutable std::mutex mutex_;  // held from taking a page of a run until it is there
    PageSet pages_;
    vmm::PageFiller filler_;  // last: its thread uses the others
};

}  // namespace shoal::migration
