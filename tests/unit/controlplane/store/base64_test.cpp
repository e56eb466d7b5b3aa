#include "controlplane/store/base64.h"

#include <doctest/doctest.h>

#include <array>

namespace shoal::store::test {

TEST_CASE("base64 has RFC 4648's vectors, both ways") {
    using Vector = std::pair<std::string, std::string>;
    for (const auto& [bytes, text] :
         {Vector{"", ""}, Vector{"f", "Zg=="}, Vector{"fo", "Zm8="}, Vector{"foo", "Zm9v"},
          Vector{"foobar", "Zm9vYmFy"}, Vector{std::string("\0\xff\xfe", 3), "AP/+"}}) {
        CHECK(to_base64(bytes) == text);
        CHECK(from_base64(text) == bytes);
    }
}

TEST_CASE("what is not base64 is nothing") {
    for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "====", "Z===", "=Zg=", "Zg==Zg==", " Zg=",
                             "Zm9\n", "Zm9v\n", "Zm-_", "\x80g=="}) {
        CAPTURE(text);
        CHECK(from_base64(text) == std::nullopt);
    }
}

}  // namespace shoal::store::test
