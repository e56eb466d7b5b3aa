// Fuzzes virtio-mmio's registers: any access in any order, and any saved state.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "devices/host/check.h"
#include "tests/fuzz/virtio_driver.h"

using namespace shoal;

namespace {

// Gives chains back, and knows whether it may.
class EchoDevice final : public virtio::Device {
public:
    [[nodiscard]] std::uint32_t device_id() const noexcept override { return 42; }
    [[nodiscard]] std::uint64_t features() const noexcept override { return 0x8000'0000'0000'0001; }
    [[nodiscard]] std::uint32_t queue_count() const noexcept override { return 3; }
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override {
        return virtio::Queue::max_size;
    }
    void read_config(std::uint64_t, std::span<std::byte> data) const noexcept override {
        SHOAL_CHECK(!data.empty() && data.size() <= 8);
        std::ranges::fill(data, std::byte{0});
    }
    void write_config(std::uint64_t, std::span<const std::byte> data) noexcept override {
        SHOAL_CHECK(!data.empty() && data.size() <= 8);
    }
    void activate(std::uint64_t, std::span<virtio::Queue> queues,
                  virtio::Transport& transport) noexcept override {
        SHOAL_CHECK(transport_ == nullptr);
        queues_ = queues;
        transport_ = &transport;
    }
    void stop_queue(std::uint32_t idx) noexcept override {
        SHOAL_CHECK(transport_ != nullptr && queues_[idx].is_ready());
    }
    void start_queue(std::uint32_t idx) noexcept override {
        SHOAL_CHECK(transport_ != nullptr && queues_[idx].is_ready());
    }
    void reset() noexcept override {
        transport_ = nullptr;
        queues_ = {};
    }
    void process() noexcept override {
        SHOAL_CHECK(transport_ != nullptr);
        for (virtio::Queue& queue : queues_) {
            const auto chain = queue.pop();
            if (!chain) {
                virtio::Transport& transport = *transport_;
                reset();
                transport.fail(chain.error());
                return;
            }
            if (*chain) {
                queue.push_used((*chain)->head, 0);
                transport_->used_buffers(queue);
                transport_->process_again();
            }
        }
    }

private:
    std::span<virtio::Queue> queues_;
    virtio::Transport* transport_ = nullptr;
};

// The driver's state with some of it changed, on a machine that has just been built.
void restore_elsewhere(virtio::MmioTransportState state, const machine::GuestMemory& memory,
                       fuzz::Input& input) {
    state.status ^= input.take<std::uint8_t>();
    state.trouble ^= input.take<std::uint8_t>();
    state.driver_features ^= input.take<std::uint64_t>();
    state.queues.front().is_ready = true;
    state.queues.front().layout.size ^= input.take<std::uint16_t>();
    state.queues.front().layout.used = machine::Gpa{input.take<std::uint64_t>()};
    state.queues.front().position.next_avail = input.take<std::uint16_t>();
    EchoDevice device;
    fuzz::NoIrq irq;
    virtio::MmioTransport transport{device, memory, irq};
    try {
        transport.restore(state);
    } catch (const std::invalid_argument&) {
        return;
    }
    transport.resume();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const machine::GuestMemory memory{fuzz::VirtioDriver::memory_bytes};
    fuzz::Input input{data, size_bytes};
    EchoDevice device;
    fuzz::VirtioDriver driver{device, memory};
    while (!input.empty()) {
        driver.step(input, [&](fuzz::Input& rest) {
            const auto what = rest.take<std::uint8_t>();
            if (what < 160) {
                driver.transport().resume();
            } else {
                restore_elsewhere(driver.transport().save(), memory, rest);
            }
        });
    }
    return 0;
}
