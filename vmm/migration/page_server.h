// PageServer: gives the destination of a post-copy, over a connection of its own, the pages that
// its guest cannot wait for, while the guest stands still here.
#pragma once

#include "vmm/machine/thread.h"
#include "vmm/migration/channel.h"
#include "vmm/migration/page_content.h"

namespace shoal::migration {

class PageServer {
public:
    // Borrows the content, which does not change any more. A thread answers; when it cannot, it
    // hangs up.
    PageServer(const PageContent& memory, Channel channel);
    // Hangs up.
    ~PageServer();
    PageServer(const PageServer&) = delete;
    PageServer& operator=(const PageServer&) = delete;

private:
    void serve() noexcept;
    [[nodiscard]] bool answer(const Frame& want);

    const PageContent& memory_;
    Channel channel_;
    vmm::Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::migration
