// The frames of exec: how a command in a guest and whoever asked for it talk (README.md).
// No threads, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace shoal::exec {

// Where the agent listens, of vsock.
inline constexpr std::uint32_t agent_port = 7432;
// Of HTTP's Upgrade.
inline constexpr std::string_view protocol = "shoal-exec/1";
inline constexpr std::string_view console_protocol = "shoal-console/1";

inline constexpr std::size_t header_bytes = 5;  // the type, and the payload's size, little-endian
inline constexpr std::size_t max_payload_bytes = std::size_t{64} << 10;
// Of input that may be on its way to a command that does not read it.
inline constexpr std::size_t window_bytes = std::size_t{64} << 10;
// Commands of a microVM at the same time.
inline constexpr std::size_t max_commands = 32;

enum class FrameType : std::uint8_t {
    start = 1,  // to the guest, once and first: start.h
    input,      // to the guest: bytes; without any: the end
    credit,     // from the guest: so many more bytes of input may come, 32 bits, little-endian
    output,     // from the guest: bytes
    errors,     // from the guest: bytes
    ended,      // from the guest, last: Ended
};

// The payload is borrowed from whoever gave the frame.
struct Frame {
    FrameType type = FrameType::start;
    std::string_view payload;
};

// How a command ended, or why there is none.
struct Ended {
    std::uint8_t code = 0;  // its exit code; 128 + N: killed by signal N
    std::string reason;     // empty: it ran; otherwise a sentence
    bool operator==(const Ended&) const = default;
};

// What is wrong with what came, in a sentence.
class FrameError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The payload has at most max_payload_bytes.
[[nodiscard]] std::string to_bytes(const Frame& frame);
[[nodiscard]] std::string credit_frame(std::uint32_t count);
// A reason that is too long is cut.
[[nodiscard]] std::string ended_frame(const Ended& ended);
// Nothing: the payload is none.
[[nodiscard]] std::optional<std::uint32_t> credit_in(std::string_view payload);
[[nodiscard]] std::optional<Ended> ended_in(std::string_view payload);

// Finds the frames in bytes that come in pieces. It holds one frame, and the piece that came last.
class FrameReader {
public:
    void append(std::string_view bytes);
    // Nothing: more bytes are needed. Valid until the next call of either. Throws FrameError; then
    // there is nothing more to be had.
    [[nodiscard]] std::optional<Frame> next();

private:
    std::string bytes_;
    std::size_t taken_ = 0;
};

}  // namespace shoal::exec
