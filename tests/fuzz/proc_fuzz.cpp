// Fuzzes what is read below /proc: a process chooses its own name, which is in its line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/node/memory_state.h"
#include "controlplane/node/process/process_identity.h"
#include "devices/host/check.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const node::MemoryState state{node::available_mib_in(text), node::stalled_percent_in(text)};
    SHOAL_CHECK(node::shortage(state, 512).size() < 200);
    static_cast<void>(node::start_ticks_in(text));
    // Whatever its name, a process began when the kernel says it did.
    const std::string name{text.substr(0, 15)};
    SHOAL_CHECK(node::start_ticks_in(
                    "1 (" + name + ") S 0 1 1 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4711 9") == 4711U);
    return 0;
}
