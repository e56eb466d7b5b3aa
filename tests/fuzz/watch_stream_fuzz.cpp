// Fuzzes the cutting of a watch's stream: the first byte is the size of the pieces, the second the
// limit of a line.
//
// Lines do not depend on how the stream was cut into pieces, and none is beyond the limit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/etcd_answer.h"
#include "controlplane/store/line_splitter.h"
#include "devices/host/check.h"

namespace {

struct Outcome {
    bool is_sound = true;
    std::vector<std::string> lines;

    bool operator==(const Outcome&) const = default;
};

Outcome split(std::string_view bytes, std::size_t piece_bytes, std::size_t limit) {
    shoal::store::LineSplitter splitter{limit};
    Outcome outcome;
    while (outcome.is_sound && !bytes.empty()) {
        outcome.is_sound =
            splitter.feed(bytes.substr(0, piece_bytes), [&outcome](std::string_view line) {
                outcome.lines.emplace_back(line);
                return line != "stop";
            });
        bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    if (size_bytes < 2) {
        return 0;
    }
    // SAFETY: bytes are read as the characters that a socket would bring.
    const std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size_bytes - 2};
    const std::size_t piece = std::max<std::size_t>(data[0], 1);
    const std::size_t limit = data[1] + std::size_t{8};
    const Outcome pieces = split(bytes, piece, limit);
    SHOAL_CHECK(pieces == split(bytes, size_bytes, limit));
    for (const std::string& line : pieces.lines) {
        SHOAL_CHECK(line.size() <= limit && !line.contains('\n'));
        static_cast<void>(shoal::store::etcd::decode_watch(line));
    }
    return 0;
}
