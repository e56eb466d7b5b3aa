// Runs of pages to frames and back.
#include "vmm/migration/page_run.h"

#include <utility>

#include "devices/host/check.h"
#include "vmm/state/decode.h"
#include "vmm/state/encode.h"

namespace shoal::migration {
namespace {

// Before its place is checked.
std::expected<PageRun, FrameError> read_unplaced(const Frame& frame) {
    if (frame.payload.size() <= sizeof(std::uint64_t)) {
        return std::unexpected(FrameError::malformed);
    }
    state::Decoder payload{frame.payload, "a run of pages"};
    PageRun run;
    payload.read(run.first_page);
    if (frame.kind == FrameKind::pages && payload.bytes_left() % page_bytes == 0) {
        run.page_count = payload.bytes_left() / page_bytes;
        run.bytes = payload.read_bytes(payload.bytes_left());
        return run;
    }
    if (frame.kind == FrameKind::zero_pages && payload.bytes_left() == sizeof(std::uint64_t)) {
        payload.read(run.page_count);
        return run;
    }
    return std::unexpected(FrameError::malformed);
}

}  // namespace

Frame pages_frame(std::uint64_t first_page, std::span<const std::byte> bytes) {
    SHOAL_CHECK(!bytes.empty() && bytes.size() % page_bytes == 0 &&
                bytes.size() / page_bytes <= max_run_pages);
    state::Encoder payload;
    payload.write(first_page);
    payload.write_bytes(bytes);
    return {FrameKind::pages, std::move(payload).take_bytes()};
}

Frame zero_pages_frame(std::uint64_t first_page, std::uint64_t page_count) {
    state::Encoder payload;
    payload.write(first_page);
    payload.write(page_count);
    return {FrameKind::zero_pages, std::move(payload).take_bytes()};
}

std::expected<PageRun, FrameError> read_page_run(const Frame& frame, std::uint64_t memory_pages) {
    const auto run = read_unplaced(frame);
    if (run &&
        (run->first_page > memory_pages || run->page_count > memory_pages - run->first_page)) {
        return std::unexpected(FrameError::out_of_memory);
    }
    return run;
}

}  // namespace shoal::migration
