// Fuzzes the console: its driver, streams that come and go, its saved state.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "devices/host/event_fd.h"
#include "devices/host/os_error.h"
#include "devices/virtio/console.h"
#include "tests/fuzz/virtio_driver.h"

using namespace shoal;

namespace {

// A pipe that is neither full nor empty for long: what one end takes in, the other gives.
struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        host::check_os(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), "pipe2");
        out = host::UniqueFd{ends[0]};
        in = host::UniqueFd{ends[1]};
    }
    host::UniqueFd out;
    host::UniqueFd in;
};

void serve_stream(backend::StreamClient& client) {
    if (client.wants_input()) {
        client.on_input_ready();
    }
    if (client.wants_output()) {
        client.on_output_ready();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const machine::GuestMemory memory{fuzz::VirtioDriver::memory_bytes};
    static const host::EventFd wake;
    static const Pipe pipe;
    const std::array<virtio::ConsolePortStreams, 2> streams{{
        {backend::InputStream{pipe.out.get()}, backend::OutputStream{pipe.in.get()}, "stdio"},
        {backend::InputStream{-1}, backend::OutputStream{-1}, "stderr"},
    }};
    fuzz::Input input{data, size_bytes};
    virtio::Console device{streams, wake};
    fuzz::VirtioDriver driver{device, memory};
    while (!input.empty()) {
        driver.step(input, [&](fuzz::Input& rest) {
            const auto what = rest.take<std::uint8_t>();
            if (what < 200) {
                serve_stream(device.client(what % 2));
                return;
            }
            virtio::ConsoleState state = device.save();
            state.ports[what % 2].sending = {rest.take<std::uint8_t>(), rest.take<std::uint8_t>(),
                                             rest.take<std::uint32_t>()};
            state.ports[what % 2].receiving = rest.take<std::uint8_t>();
            state.due[what % 2] = rest.take<std::uint32_t>();
            static_cast<void>(device.restore(state));
        });
    }
    return 0;
}
