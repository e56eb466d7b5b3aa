// Fuzzes what an agent in a guest, or whoever asks one, sends: the same frames come of the bytes
// however they are cut, and what is read of a frame is what makes it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/exec/frame.h"
#include "controlplane/exec/start.h"
#include "devices/host/check.h"

namespace {

using namespace shoal::exec;

void look_into(const Frame& frame) {
    SHOAL_CHECK(frame.payload.size() <= max_payload_bytes);
    try {
        SHOAL_CHECK(to_payload(start_in(frame.payload)) == frame.payload);
    } catch (const FrameError&) {
        // It is no start.
    }
    if (const auto count = credit_in(frame.payload)) {
        SHOAL_CHECK(credit_frame(*count) == to_bytes({FrameType::credit, frame.payload}));
    }
    if (const auto ended = ended_in(frame.payload)) {
        SHOAL_CHECK(ended_frame(*ended) == to_bytes({FrameType::ended, frame.payload}));
    }
}

// The frames as bytes again, and the error behind them.
std::string read_all(std::string_view bytes, std::size_t piece_bytes) {
    FrameReader reader;
    std::string seen;
    while (!bytes.empty()) {
        const std::size_t count = std::min(piece_bytes, bytes.size());
        reader.append(bytes.substr(0, count));
        bytes.remove_prefix(count);
        try {
            while (const auto frame = reader.next()) {
                look_into(*frame);
                seen += to_bytes(*frame);
            }
        } catch (const FrameError& error) {
            return seen + error.what();
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const std::string whole = read_all(bytes, size);
    SHOAL_CHECK(read_all(bytes, 1) == whole);
    SHOAL_CHECK(read_all(bytes, 7) == whole);
    look_into({FrameType::start, bytes.substr(0, max_payload_bytes)});
    return 0;
}
