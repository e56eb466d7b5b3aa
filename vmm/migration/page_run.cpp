// Runs of pages to frames and back.
#include "vmm/migration/page_run.h"

#include <utility>

#include "devices/host/check.h"
#include "vmm/state/decode.h"
#include "vmm/state/encode.h"

namespace shoal::migration {
namespace {

bool is_of_drive(FrameKind kind) {
    return kind == FrameKind::drive_pages || kind == FrameKind::drive_zero_pages;
}

bool has_bytes(FrameKind kind) {
    return kind == FrameKind::pages || kind == FrameKind::drive_pages;
}

std::size_t head_bytes(FrameKind kind) {
    return (is_of_drive(kind) ? sizeof(std::uint32_t) : 0) + sizeof(std::uint64_t);
}

// Before its place is checked.
std::expected<PageRun, FrameError> read_unplaced(const Frame& frame) {
    const bool is_known = has_bytes(frame.kind) || frame.kind == FrameKind::zero_pages ||
                          frame.kind == FrameKind::missing_pages ||
                          frame.kind == FrameKind::drive_zero_pages;
    if (!is_known || frame.payload.size() <= head_bytes(frame.kind)) {
        return std::unexpected(FrameError::malformed);
    }
    state::Decoder payload{frame.payload, "a run of pages"};
    PageRun run;
    if (is_of_drive(frame.kind)) {
        payload.read(run.drive.emplace());
    }
    payload.read(run.first_page);
    if (has_bytes(frame.kind) && payload.bytes_left() % page_bytes == 0) {
        run.page_count = payload.bytes_left() / page_bytes;
        run.bytes = payload.read_bytes(payload.bytes_left());
        return run;
    }
    if (!has_bytes(frame.kind) && payload.bytes_left() == sizeof(std::uint64_t)) {
        payload.read(run.page_count);
        // Zeros may have to be written to a drive.
        if (!run.drive || run.page_count <= max_run_pages) {
            return run;
        }
    }
    return std::unexpected(FrameError::malformed);
}

}  // namespace

Frame frame_of(const PageRun& run) {
    state::Encoder payload;
    if (run.drive) {
        payload.write(*run.drive);
    }
    payload.write(run.first_page);
    if (run.bytes.empty()) {
        payload.write(run.page_count);
        return {run.drive ? FrameKind::drive_zero_pages : FrameKind::zero_pages,
                std::move(payload).take_bytes()};
    }
    SHOAL_CHECK(run.bytes.size() == run.page_count * page_bytes && run.page_count <= max_run_pages);
    payload.write_bytes(run.bytes);
    return {run.drive ? FrameKind::drive_pages : FrameKind::pages, std::move(payload).take_bytes()};
}

Frame frame_of_missing(std::uint64_t first_page, std::uint64_t page_count) {
    return {FrameKind::missing_pages, frame_of({first_page, page_count, {}}).payload};
}

Frame frame_of_want(vmm::PageRange pages) {
    return {FrameKind::want, frame_of({pages.first, pages.end - pages.first, {}}).payload};
}

std::optional<vmm::PageRange> read_want(const Frame& frame, std::uint64_t page_count) {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    if (frame.kind != FrameKind::want || frame.payload.size() != sizeof first + sizeof count) {
        return std::nullopt;
    }
    state::Decoder payload{frame.payload, "a want"};
    payload.read(first);
    payload.read(count);
    if (count == 0 || count > max_want_pages || first > page_count || count > page_count - first) {
        return std::nullopt;
    }
    return vmm::PageRange{first, first + count};
}

std::expected<PageRun, FrameError> read_page_run(const Frame& frame, const PageCounts& counts) {
    const auto run = read_unplaced(frame);
    if (!run) {
        return run;
    }
    if (run->drive && *run->drive >= counts.drives.size()) {
        return std::unexpected(FrameError::unknown_drive);
    }
    const std::uint64_t pages = run->drive ? counts.drives[*run->drive] : counts.memory;
    if (run->first_page > pages || run->page_count > pages - run->first_page) {
        return std::unexpected(FrameError::out_of_range);
    }
    return run;
}

}  // namespace shoal::migration
