// Fuzzes the migration stream's parser: it gives frames or an error. A frame that it gives is, when
// written again, what was read. A second way, past the checksums, feeds the bytes as runs of pages.
#include <algorithm>
#include <cstdint>
#include <span>

#include "devices/host/check.h"
#include "vmm/migration/frame.h"
#include "vmm/migration/page_run.h"

namespace {

using namespace shoal::migration;

constexpr std::uint64_t memory_pages = 256;

void read_run(const Frame& frame) {
    const auto run = read_page_run(frame, memory_pages);
    if (run) {
        SHOAL_CHECK(run->first_page <= memory_pages);
        SHOAL_CHECK(run->page_count <= memory_pages - run->first_page);
        SHOAL_CHECK(run->bytes.empty() || run->bytes.size() == run->page_count * page_bytes);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto rest = std::as_bytes(std::span{data, size});
    read_run({FrameKind::pages, {rest.begin(), rest.end()}});
    read_run({FrameKind::zero_pages, {rest.begin(), rest.end()}});
    FrameReader reader;
    reader.add(rest);
    Frame frame;
    for (auto taken = reader.take(frame); taken && *taken == Taken::frame;
         taken = reader.take(frame)) {
        const auto again = encode(frame);
        SHOAL_CHECK(std::ranges::equal(again, rest.first(again.size())));
        rest = rest.subspan(again.size());
        read_run(frame);
    }
    return 0;
}
