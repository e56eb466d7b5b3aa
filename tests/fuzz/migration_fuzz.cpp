// Fuzzes the migration stream's parser: it gives frames or an error. A frame that it gives is, when
// written again, what was read. A second way, past the checksums, feeds the bytes as runs of pages,
// which are put into a memory, and as what else comes from others: a hello, an address.
#include <algorithm>
#include <cstdint>
#include <span>

#include "devices/host/check.h"
#include "vmm/migration/address.h"
#include "vmm/migration/frame.h"
#include "vmm/migration/hello.h"
#include "vmm/migration/packing.h"
#include "vmm/migration/page_run.h"
#include "vmm/migration/page_store.h"
#include "vmm/state/state_error.h"

namespace {

using namespace shoal::migration;

const PageCounts counts{256, {16, 0}};

void read_run(const Frame& frame) {
    const auto run = read_page_run(frame, counts);
    if (run) {
        SHOAL_CHECK(!run->drive || *run->drive < counts.drives.size());
        const std::uint64_t pages = run->drive ? counts.drives[*run->drive] : counts.memory;
        SHOAL_CHECK(run->first_page <= pages);
        SHOAL_CHECK(run->page_count <= pages - run->first_page);
        SHOAL_CHECK(run->bytes.empty() || run->bytes.size() == run->page_count * page_bytes);
        static const shoal::machine::GuestMemory memory{counts.memory * page_bytes};
        SHOAL_CHECK(run->drive || PageStore{memory}.put(*run));
    }
}

// What it says can be said again.
void read_hello(std::span<const std::byte> payload) {
    try {
        const auto hello = decode_hello(payload);
        static_cast<void>(decode_hello(encode_hello(hello)));
    } catch (const shoal::state::StateError&) {
    }
}

// Whatever is in it, what comes out fits its kind, and packed again comes back.
void read_packed(const Frame& frame) {
    Frame unpacked;
    if (unpack(frame, unpacked)) {
        return;
    }
    SHOAL_CHECK(unpacked.payload.size() <= max_payload_bytes(unpacked.kind));
    read_run(unpacked);
    static Packer packer;
    if (const auto again = packer.pack(unpacked)) {
        Frame same;
        SHOAL_CHECK(!unpack(*again, same) && same.payload == unpacked.payload);
    }
}

// SAFETY: bytes are read as characters.
void read_address(std::span<const std::byte> bytes) {
    const auto address = parse_address({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (address) {
        SHOAL_CHECK(parse_address(to_text(*address)) == address);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto rest = std::as_bytes(std::span{data, size});
    for (const FrameKind kind : {FrameKind::pages, FrameKind::zero_pages, FrameKind::drive_pages,
                                 FrameKind::drive_zero_pages, FrameKind::missing_pages}) {
        read_run({kind, {rest.begin(), rest.end()}});
    }
    if (const auto pages =
            read_want({FrameKind::want, {rest.begin(), rest.end()}}, counts.memory)) {
        SHOAL_CHECK(pages->first < pages->end && pages->end <= counts.memory);
        SHOAL_CHECK(std::ranges::equal(frame_of_want(*pages).payload, rest));
    }
    read_packed({FrameKind::packed, {rest.begin(), rest.end()}});
    read_hello(rest);
    read_address(rest);
    FrameReader reader;
    reader.add(rest);
    Frame frame;
    for (auto taken = reader.take(frame); taken && *taken == Taken::frame;
         taken = reader.take(frame)) {
        const auto again = encode(frame);
        SHOAL_CHECK(std::ranges::equal(again, rest.first(again.size())));
        rest = rest.subspan(again.size());
        read_run(frame);
        read_packed(frame);
        if (frame.kind == FrameKind::hello) {
            read_hello(frame.payload);
        }
    }
    return 0;
}
