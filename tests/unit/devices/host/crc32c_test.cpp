// The checksum by the CPU's instruction is the one by the table.
#include "devices/host/crc32c.h"

#include <doctest/doctest.h>

#include <random>
#include <string_view>
#include <vector>

namespace shoal::host {
namespace {

TEST_CASE("CRC-32C of known bytes") {
    const std::string_view text = "123456789";
    CHECK(crc32c(std::as_bytes(std::span{text})) == 0xE3069283);
    CHECK(crc32c_by_table(std::as_bytes(std::span{text})) == 0xE3069283);
    CHECK(crc32c({}) == 0);
}

TEST_CASE("CRC-32C of any bytes, in two parts of any size and place") {
    std::minstd_rand random{7};
    std::vector<std::byte> bytes(200);
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(random());
    }
    for (int count = 0; count < 1000; ++count) {
        const std::size_t from = random() % 16;
        const std::size_t middle = from + random() % 90;
        const std::size_t end = middle + random() % 90;
        const std::span all{bytes};
        const auto first = all.subspan(from, middle - from);
        const auto second = all.subspan(middle, end - middle);
        CHECK(crc32c(first, second) == crc32c_by_table(first, second));
        CHECK(crc32c(first, second) == crc32c(all.subspan(from, end - from)));
    }
}

}  // namespace
}  // namespace shoal::host
