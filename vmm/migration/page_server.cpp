// One page for one want.
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
    const auto page = read_want(want);
    if (!page || *page >= memory_.page_count()) {
        return false;
    }
    std::array<std::byte, page_bytes> buffer;
    return !channel_.send(frame_of({*page, 1, memory_.read(*page, 1, buffer)}));
}

}  // namespace shoal::migration
