// Fuzzes what a VMM answers to its supervisor: more of an answer never takes back what was decided.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "controlplane/supervisor/first_request.h"
#include "devices/host/check.h"

using shoal::supervisor::Verdict;
using shoal::supervisor::verdict_of;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string answer{reinterpret_cast<const char*>(data), size};
    Verdict before = Verdict::incomplete;
    for (std::size_t end = 0; end <= std::min<std::size_t>(size, 512); ++end) {
        const Verdict verdict = verdict_of(answer.substr(0, end));
        SHOAL_CHECK(before == Verdict::incomplete || verdict == before);
        before = verdict;
    }
    return 0;
}
