// Frames to bytes and back.
#include "vmm/migration/frame.h"

#include <utility>

#include "devices/host/check.h"
#include "devices/host/crc32c.h"
#include "vmm/migration/hello.h"
#include "vmm/migration/page_run.h"
#include "vmm/state/decode.h"
#include "vmm/state/encode.h"
#include "vmm/state/section.h"

namespace shoal::migration {
namespace {

constexpr std::size_t checked_head_bytes = frame_head_bytes - sizeof(std::uint32_t);
constexpr std::size_t max_sentence_bytes = 1024;
constexpr FrameKind last_kind = FrameKind::want;

struct Head {
    std::uint16_t version = 0;
    std::uint16_t kind = 0;
    std::uint32_t payload_bytes = 0;
    std::uint32_t checksum = 0;
};

// `bytes` has at least a head.
Head read_head(std::span<const std::byte> bytes) {
    state::Decoder decoder{bytes.first(frame_head_bytes), "a frame"};
    Head head;
    decoder.read(head.version);
    decoder.read(head.kind);
    decoder.read(head.payload_bytes);
    decoder.read(head.checksum);
    return head;
}

std::optional<FrameError> find_error(const Head& head) {
    if (head.version != stream_version) {
        return FrameError::unknown_version;
    }
    if (head.kind > static_cast<std::uint16_t>(last_kind)) {
        return FrameError::unknown_kind;
    }
    if (head.payload_bytes > max_payload_bytes(static_cast<FrameKind>(head.kind))) {
        return FrameError::too_long;
    }
    return std::nullopt;
}

}  // namespace

std::string_view describe(FrameError error) noexcept {
    switch (error) {
        case FrameError::unknown_version:
            return "the peer speaks another version of the migration stream";
        case FrameError::unknown_kind:
            return "the peer sent a message of a kind that is unknown here";
        case FrameError::too_long:
            return "the peer announced a message that is longer than its kind allows";
        case FrameError::wrong_checksum:
            return "a message was damaged on its way: its checksum is wrong";
        case FrameError::malformed:
            return "the peer sent a message that does not hold what its kind says";
        case FrameError::out_of_range:
            return "the peer sent pages that lie outside the guest's memory or drive";
        case FrameError::unknown_drive:
            return "the peer sent pages of a drive that it did not announce";
    }
    SHOAL_CHECK(false);
}

std::size_t max_payload_bytes(FrameKind kind) noexcept {
    switch (kind) {
        case FrameKind::hello:
            return max_hello_bytes;
        case FrameKind::pages:
            return sizeof(std::uint64_t) + max_run_pages * page_bytes;
        case FrameKind::zero_pages:
        case FrameKind::missing_pages:
        case FrameKind::want:
            return 2 * sizeof(std::uint64_t);
        case FrameKind::drive_pages:
            return sizeof(std::uint32_t) + max_payload_bytes(FrameKind::pages);
        case FrameKind::drive_zero_pages:
            return sizeof(std::uint32_t) + max_payload_bytes(FrameKind::zero_pages);
        case FrameKind::state:
            return state::max_file_bytes;
        case FrameKind::commit:
        case FrameKind::accept:
        case FrameKind::ready:
        case FrameKind::taken:
        case FrameKind::sync:
        case FrameKind::synced:
            return 0;
        case FrameKind::packed:
            return max_payload_bytes(FrameKind::drive_pages);
        case FrameKind::join:
            return sizeof(JoinToken);
        case FrameKind::refused:
            return max_sentence_bytes;
    }
    SHOAL_CHECK(false);
}

std::vector<std::byte> encode(const Frame& frame) {
    SHOAL_CHECK(frame.payload.size() <= max_payload_bytes(frame.kind));
    state::Encoder encoder;
    encoder.write(stream_version);
    encoder.write(static_cast<std::uint16_t>(frame.kind));
    encoder.write(static_cast<std::uint32_t>(frame.payload.size()));
    encoder.write(host::crc32c(encoder.bytes(), frame.payload));
    encoder.write_bytes(frame.payload);
    return std::move(encoder).take_bytes();
}

void FrameReader::add(std::span<const std::byte> bytes) {
    if (!error_) {
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(taken_bytes_));
        taken_bytes_ = 0;
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
}

std::expected<Taken, FrameError> FrameReader::take(Frame& frame) {
    if (error_) {
        return std::unexpected(*error_);
    }
    const auto all = std::span<const std::byte>{bytes_}.subspan(taken_bytes_);
    if (all.size() < frame_head_bytes) {
        return Taken::nothing_yet;
    }
    const Head head = read_head(all);
    error_ = find_error(head);
    if (error_) {
        return std::unexpected(*error_);
    }
    if (head.payload_bytes > all.size() - frame_head_bytes) {
        return Taken::nothing_yet;
    }
    const auto payload = all.subspan(frame_head_bytes, head.payload_bytes);
    if (head.checksum != host::crc32c(all.first(checked_head_bytes), payload)) {
        error_ = FrameError::wrong_checksum;
        return std::unexpected(*error_);
    }
    frame.kind = static_cast<FrameKind>(head.kind);
    frame.payload.assign(payload.begin(), payload.end());
    taken_bytes_ += frame_head_bytes + head.payload_bytes;
    return Taken::frame;
}

}  // namespace shoal::migration
