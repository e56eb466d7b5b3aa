// Fuzzes the entropy device: its driver, its rate limit, its saved state.
#include <cstddef>
#include <cstdint>

#include "devices/virtio/entropy.h"
#include "tests/fuzz/virtio_driver.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const machine::GuestMemory memory{fuzz::VirtioDriver::memory_bytes};
    static host::Reactor reactor;
    fuzz::Input input{data, size_bytes};
    virtio::Entropy device{reactor, {}};
    fuzz::VirtioDriver driver{device, memory};
    while (!input.empty()) {
        driver.step(input, [&](fuzz::Input& rest) {
            const auto what = rest.take<std::uint8_t>();
            if (what < 64) {
                const backend::TokenBucketConfig bucket{rest.take<std::uint64_t>(),
                                                        rest.take<std::uint32_t>(),
                                                        rest.take<std::uint16_t>()};
                device.update_rate_limiter({bucket, bucket});
            } else if (what < 128) {
                static_cast<void>(device.restore({rest.take<std::uint16_t>()}));
            } else {
                reactor.dispatch(0);
            }
        });
    }
    return 0;
}
