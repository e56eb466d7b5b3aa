#include "controlplane/exec/frame.h"

#include <doctest/doctest.h>

#include <vector>

namespace shoal::exec::test {
namespace {

std::string header(unsigned type, std::uint32_t size) {
    std::string bytes{static_cast<char>(type)};
    for (unsigned shift = 0; shift < 32; shift += 8) {
        bytes += static_cast<char>(size >> shift & 0xFF);
    }
    return bytes;
}

TEST_CASE("exec: frames are found in bytes, however they are cut") {
    const std::vector<Frame> frames{{FrameType::start, "a"},
                                    {FrameType::input, ""},
                                    {FrameType::output, {"\0\1\2", 3}},
                                    {FrameType::ended, "x"}};
    std::string bytes;
    for (const Frame& frame : frames) {
        bytes += to_bytes(frame);
    }
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        FrameReader reader;
        std::size_t found = 0;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            reader.append(std::string_view{bytes}.substr(at, piece));
            while (const auto frame = reader.next()) {
                REQUIRE(found < frames.size());
                CHECK(frame->type == frames[found].type);
                CHECK(frame->payload == frames[found].payload);
                ++found;
            }
        }
        CHECK(found == frames.size());
    }
}

TEST_CASE("exec: what is no frame is refused with a sentence, before its payload has come") {
    FrameReader reader;
    SUBCASE("no bytes are no frame yet") {
        CHECK_FALSE(reader.next());
    }
    SUBCASE("the largest payload") {
        reader.append(header(4, 65536) + std::string(65535, 'x'));
        CHECK_FALSE(reader.next());
        reader.append("x");
        CHECK(reader.next().value().payload.size() == 65536);
    }
    SUBCASE("one byte more") {
        reader.append(header(4, 65537));
        CHECK_THROWS_WITH_AS(static_cast<void>(reader.next()),
                             "a frame has 65537 bytes: at most 65536 are allowed", FrameError);
    }
    SUBCASE("the largest number") {
        reader.append(header(4, 0xFFFF'FFFF));
        CHECK_THROWS_WITH_AS(static_cast<void>(reader.next()),
                             "a frame has 4294967295 bytes: at most 65536 are allowed", FrameError);
    }
    SUBCASE("types that are none") {
        for (const unsigned type : {0U, 7U, 255U}) {
            FrameReader other;
            other.append(header(type, 0).substr(0, 1));
            CHECK_THROWS_WITH_AS(static_cast<void>(other.next()),
                                 ("there is no frame of type " + std::to_string(type)).c_str(),
                                 FrameError);
        }
    }
}

TEST_CASE("exec: what frames hold is read as it was written") {
    FrameReader reader;
    reader.append(credit_frame(0x89AB'CDEF) + ended_frame({137, ""}) +
                  ended_frame({127, std::string(1000, 'r')}));
    CHECK(credit_in(reader.next().value().payload) == 0x89AB'CDEF);
    CHECK(ended_in(reader.next().value().payload) == Ended{137, ""});
    CHECK(ended_in(reader.next().value().payload) == Ended{127, std::string(512, 'r')});
    CHECK_FALSE(credit_in("123"));
    CHECK_FALSE(credit_in("12345"));
    CHECK_FALSE(ended_in(""));
    CHECK_FALSE(ended_in(std::string(514, 'r')));
}

}  // namespace
}  // namespace shoal::exec::test
