// Fuzzes the balloon: its driver, the host's requests in between, its saved state.
#include <cstddef>
#include <cstdint>

#include "devices/virtio/balloon.h"
#include "tests/fuzz/virtio_driver.h"

using namespace shoal;

namespace {

virtio::BalloonConfig make_config(std::uint8_t choice) {
    return {.target_pages = choice,
            .deflate_on_oom = (choice & 1) != 0,
            .stats_polling_interval_s = static_cast<std::uint16_t>(choice >> 1 & 1),
            .free_page_hinting = (choice & 4) != 0,
            .free_page_reporting = (choice & 8) != 0};
}

void ask(virtio::Balloon& device, fuzz::Input& input) {
    switch (input.take<std::uint8_t>() % 7) {
        case 0:
            return static_cast<void>(device.set_target(input.take<std::uint32_t>()));
        case 1:
            return static_cast<void>(device.statistics());
        case 2:
            return static_cast<void>(device.set_polling_interval(input.take<std::uint16_t>()));
        case 3:
            return static_cast<void>(device.start_hinting(virtio::AcknowledgeOnStop::yes));
        case 4:
            return static_cast<void>(device.start_hinting(virtio::AcknowledgeOnStop::no));
        case 5:
            return static_cast<void>(device.stop_hinting());
        default: {
            virtio::BalloonState state = device.save();
            state.statistics_buffer = input.take<std::uint16_t>();
            state.hinting.last_run = input.take<std::uint32_t>();
            state.hinting.status.host_cmd = input.take<std::uint32_t>();
            device.restore(state);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const machine::GuestMemory memory{fuzz::VirtioDriver::memory_bytes};
    static host::Reactor reactor;
    fuzz::Input input{data, size_bytes};
    virtio::Balloon device{memory, reactor, make_config(input.take<std::uint8_t>())};
    fuzz::VirtioDriver driver{device, memory};
    while (!input.empty()) {
        driver.step(input, [&](fuzz::Input& rest) {
            ask(device, rest);
            reactor.dispatch(0);
        });
    }
    return 0;
}
