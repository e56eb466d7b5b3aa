// What other hosts and a damaged disk may have for a checkpoint's checksums, and for the set of
// pages of a difference.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "controlplane/checkpoint/difference.h"
#include "controlplane/checkpoint/page_sums.h"

using namespace shoal::checkpoints;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span{data, size});
    if (const auto sums = parse_sums(bytes)) {
        const auto again = encode(*sums);
        if (!std::ranges::equal(again, bytes)) {
            std::abort();
        }
    }
    for (const std::uint64_t pages : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63},
                                      std::uint64_t{64}, std::uint64_t{65}, ~std::uint64_t{0}}) {
        const auto set = pages_in_mark(bytes, pages * page_bytes);
        if (set && set->size() != (pages + 63) / 64) {
            std::abort();
        }
    }
    return 0;
}
