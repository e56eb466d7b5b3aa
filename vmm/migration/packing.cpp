// zstd over a frame's payload. What comes from others is decompressed into a buffer of the limit of
// its kind, at once, so it can neither grow nor ask for a window.
#include "vmm/migration/packing.h"

#include <zstd.h>

#include <new>
#include <utility>

#include "devices/host/check.h"
#include "vmm/state/decode.h"
#include "vmm/state/encode.h"

namespace shoal::migration {
namespace {

constexpr int level = 1;  // the fastest that is proof against bad data

bool may_be_packed(FrameKind kind) {
    return kind == FrameKind::pages || kind == FrameKind::drive_pages;
}

}  // namespace

struct Packer::Context {
    ZSTD_CCtx* zstd = ZSTD_createCCtx();

    Context() {
        if (zstd == nullptr) {
            throw std::bad_alloc{};
        }
    }
    ~Context() { ZSTD_freeCCtx(zstd); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
};

Packer::Packer() : context_{std::make_unique<Context>()} {}

Packer::~Packer() = default;

std::optional<Frame> Packer::pack(const Frame& frame) {
    if (!may_be_packed(frame.kind) || frame.payload.size() <= sizeof(std::uint16_t)) {
        return std::nullopt;
    }
    state::Encoder head;
    head.write(static_cast<std::uint16_t>(frame.kind));
    Frame packed{FrameKind::packed, std::move(head).take_bytes()};
    const std::size_t head_bytes = packed.payload.size();
    packed.payload.resize(frame.payload.size());
    const auto room = std::span{packed.payload}.subspan(head_bytes);
    const std::size_t size = ZSTD_compressCCtx(context_->zstd, room.data(), room.size(),
                                               frame.payload.data(), frame.payload.size(), level);
    if (ZSTD_isError(size) != 0) {
        return std::nullopt;  // there is no room: it would not become shorter
    }
    packed.payload.resize(head_bytes + size);
    return packed;
}

std::optional<FrameError> unpack(const Frame& frame, Frame& into) {
    std::uint16_t kind_number = 0;
    if (frame.kind != FrameKind::packed || frame.payload.size() < sizeof kind_number) {
        return FrameError::malformed;
    }
    state::Decoder payload{frame.payload, "a packed run of pages"};
    payload.read(kind_number);
    into.kind = static_cast<FrameKind>(kind_number);
    if (!may_be_packed(into.kind)) {
        return FrameError::malformed;
    }
    into.payload.resize(max_payload_bytes(into.kind));
    const auto from = payload.read_bytes(payload.bytes_left());
    const std::size_t size =
        ZSTD_decompress(into.payload.data(), into.payload.size(), from.data(), from.size());
    if (ZSTD_isError(size) != 0) {
        return FrameError::malformed;
    }
    into.payload.resize(size);
    return std::nullopt;
}

}  // namespace shoal::migration
