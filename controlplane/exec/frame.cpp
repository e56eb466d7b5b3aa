// A size is looked at before its payload is waited for.
#include "controlplane/exec/frame.h"

#include <utility>

#include "devices/host/check.h"

namespace shoal::exec {
namespace {

constexpr std::size_t max_reason_bytes = 512;

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]);
}

void put_u32(std::string& bytes, std::uint32_t number) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        bytes += static_cast<char>(number >> shift & 0xFF);
    }
}

// Of the first four.
std::uint32_t u32_in(std::string_view bytes) {
    std::uint32_t number = 0;
    for (std::size_t at = 0; at < 4; ++at) {
        number |= std::uint32_t{byte_at(bytes, at)} << 8 * at;
    }
    return number;
}

bool is_type(std::uint8_t number) {
    return number >= static_cast<std::uint8_t>(FrameType::start) &&
           number <= static_cast<std::uint8_t>(FrameType::ended);
}

}  // namespace

std::string to_bytes(const Frame& frame) {
    SHOAL_CHECK(frame.payload.size() <= max_payload_bytes);
    std::string bytes;
    bytes.reserve(header_bytes + frame.payload.size());
    bytes += static_cast<char>(frame.type);
    put_u32(bytes, static_cast<std::uint32_t>(frame.payload.size()));
    return bytes.append(frame.payload);
}

std::string credit_frame(std::uint32_t count) {
    std::string payload;
    put_u32(payload, count);
    return to_bytes({FrameType::credit, payload});
}

std::string ended_frame(const Ended& ended) {
    const std::string payload =
        static_cast<char>(ended.code) + ended.reason.substr(0, max_reason_bytes);
    return to_bytes({FrameType::ended, payload});
}

std::optional<std::uint32_t> credit_in(std::string_view payload) {
    return payload.size() == 4 ? std::optional{u32_in(payload)} : std::nullopt;
}

std::optional<Ended> ended_in(std::string_view payload) {
    if (payload.empty() || payload.size() > 1 + max_reason_bytes) {
        return std::nullopt;
    }
    return Ended{byte_at(payload, 0), std::string{payload.substr(1)}};
}

void FrameReader::append(std::string_view bytes) {
    bytes_.erase(0, std::exchange(taken_, 0));
    bytes_.append(bytes);
}

std::optional<Frame> FrameReader::next() {
    const std::string_view rest = std::string_view{bytes_}.substr(taken_);
    if (rest.empty()) {
        return std::nullopt;
    }
    if (!is_type(byte_at(rest, 0))) {
        throw FrameError{"there is no frame of type " + std::to_string(byte_at(rest, 0))};
    }
    if (rest.size() < header_bytes) {
        return std::nullopt;
    }
    const std::size_t size = u32_in(rest.substr(1));
    if (size > max_payload_bytes) {
        throw FrameError{"a frame has " + std::to_string(size) + " bytes: at most " +
                         std::to_string(max_payload_bytes) + " are allowed"};
    }
    if (rest.size() - header_bytes < size) {
        return std::nullopt;
    }
    taken_ += header_bytes + size;
    return Frame{static_cast<FrameType>(rest[0]), rest.substr(header_bytes, size)};
}

}  // namespace shoal::exec
