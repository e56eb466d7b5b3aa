// A run of pages for each want.
#include "vmm/migration/page_server.h"

#include <array>
#include <exception>
#include <utility>

#include "devices/host/log.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::size_t stack_bytes = 512 << 10;  // as the migration's own thread

}  // namespace

PageServer::PageServer(const PageContent& memory, Channel channel)
    : memory_{memory}, channel_{std::move(channel)}, thread_{"migration-want", stack_bytes, [this] {
                                                                 serve();
                                                             }} {}

PageServer::~PageServer() {
    channel_.hang_up();
}

// A guest may want nothing for as long as it likes.
void PageServer::serve() noexcept {
    try {
        Frame want;
        while (!channel_.receive(want, [] { return true; }) && answer(want)) {
        }
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, std::string{"migration: "} + error.what());
    }
    channel_.hang_up();
}

bool PageServer::answer(const Frame& want) {
    const auto pages = read_want(want, memory_.page_count());
    if (!pages) {
        return false;
    }
    alignas(page_bytes) std::array<std::byte, max_want_pages * page_bytes> buffer;
    const std::uint64_t count = pages->end - pages->first;
    return !channel_.send(
        frame_of({pages->first, count, memory_.read(pages->first, count, buffer)}));
}

}  // namespace shoal::migration
