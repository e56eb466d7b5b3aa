// Frame: one message of the migration stream. All numbers are little-endian.
//
//   u16 version of the stream, u16 kind, u32 bytes of payload, u32 CRC-32C of the head before it
//   and the payload; payload
//
// The source sends hello, pages of all kinds, sync, state and commit; the destination answers with
// accept, synced, ready, taken or refused. Which may come when: handover.h. Each kind has a limit
// of its own, which is checked before a byte of the payload is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace shoal::migration {

inline constexpr std::uint16_t stream_version = 1;
inline constexpr std::size_t frame_head_bytes = 12;

enum class FrameKind : std::uint16_t {
    hello,             // the microVM's configuration (hello.h)
    pages,             // u64 number of the first page, then whole pages
    zero_pages,        // u64 number of the first page, u64 count: pages that are zeros again
    state,             // a state file (vmm/state/section.h)
    commit,            // nothing: the source will not run this guest again
    accept,            // nothing: the destination waits for pages
    ready,             // nothing: all is here and loaded; a commit lets the guest run
    taken,             // nothing: the guest runs at the destination
    refused,           // one sentence: the destination does not run this guest and never will
    drive_pages,       // u32 which of the drives that are copied, then as pages
    drive_zero_pages,  // likewise, then as zero_pages
    sync,              // nothing: answer when all pages before it are on the medium
    synced,            // nothing: they are
    packed,            // u16 kind of a run of pages with bytes, then its payload in zstd
    join,              // on a further connection: the hello's token
    missing_pages,     // as zero_pages: pages that come after `taken`
    want,              // u64 number of the first page, u64 count: the guest waits for one of them
};

enum class FrameError {
    unknown_version,
    unknown_kind,
    too_long,
    wrong_checksum,
    malformed,     // the payload is not what its kind says
    out_of_range,  // pages that the guest's memory or its drive does not have
    unknown_drive,
};

// One sentence, without its full stop.
[[nodiscard]] std::string_view describe(FrameError error) noexcept;

struct Frame {
    FrameKind kind = FrameKind::hello;
    std::vector<std::byte> payload;
};

[[nodiscard]] std::size_t max_payload_bytes(FrameKind kind) noexcept;

// The payload is within the limit of its kind.
[[nodiscard]] std::vector<std::byte> encode(const Frame& frame);

enum class Taken {
    frame,
    nothing_yet,  // the next frame is not complete
};

// Puts frames together from what the wire delivers, in pieces of any size.
class FrameReader {
public:
    // Call take() until it has nothing before adding more, so that no more than one frame and one
    // piece are kept.
    void add(std::span<const std::byte> bytes);
    // The next frame into `frame`. After an error there are no more frames.
    [[nodiscard]] std::expected<Taken, FrameError> take(Frame& frame);

private:
    std::vector<std::byte> bytes_;
    std::size_t taken_bytes_ = 0;  // of them, from the start
    std::optional<FrameError> error_;
};

}  // namespace shoal::migration
