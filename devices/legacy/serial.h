// Serial: a 16550A UART, as Linux's 8250 driver and our own guest use one.
//
// Source: National Semiconductor PC16550D data sheet. The bytes go through two bounded queues to
// streams that the event loop serves, so a vCPU never waits for the host: when the output queue is
// full the transmitter says it is busy, and interrupts when it is not any more. Output beyond the
// rate limit is dropped and counted (as Firecracker does), so that no guest has to wait for it.
// Registers are accessed on vCPU threads, streams on the event loop; a mutex guards the state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "devices/backend/rate_limiter.h"
#include "devices/backend/stream.h"
#include "devices/host/event_fd.h"
#include "devices/host/metrics.h"
#include "devices/legacy/byte_queue.h"
#include "devices/machine/bus_device.h"
#include "devices/machine/irq_line.h"

namespace shoal::legacy {

// By Firecracker's names.
struct SerialMetrics {
    std::uint64_t error_count = 0;         // the output cannot be written to: 1
    std::uint64_t read_count = 0;          // bytes from the host
    std::uint64_t missed_read_count = 0;   // the guest read where there was nothing
    std::uint64_t write_count = 0;         // bytes from the guest
    std::uint64_t missed_write_count = 0;  // written while the transmitter was busy
    std::uint64_t rate_limiter_dropped_bytes = 0;

    void report(host::MetricSink& sink) const;
};

struct SerialState {
    std::uint8_t interrupt_enable = 0;
    std::uint8_t line_control = 0;
    std::uint8_t modem_control = 0;
    std::uint8_t fifo_control = 0;
    std::uint8_t scratch = 0;
    std::uint16_t divisor = 0;
    bool transmitter_was_busy = false;
    bool transmit_interrupt = false;
    std::vector<std::byte> received;
    std::vector<std::byte> to_send;

    friend bool operator==(const SerialState&, const SerialState&) = default;
};

class Serial final : public machine::BusDevice, public backend::StreamClient {
public:
    static constexpr std::uint64_t port_count = 8;

    // `wake` is signalled when the event loop should look at wants_...() again. Borrows both.
    Serial(machine::IrqLine& irq, const host::EventFd& wake, backend::InputStream input,
           backend::OutputStream output) noexcept
        : irq_{irq}, wake_{wake}, input_{input}, output_{output} {}

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

    [[nodiscard]] int input_fd() const noexcept override { return input_.fd(); }
    [[nodiscard]] int output_fd() const noexcept override { return output_.fd(); }
    [[nodiscard]] bool wants_input() const noexcept override;
    [[nodiscard]] bool wants_output() const noexcept override;
    void on_input_ready() noexcept override;
    void on_output_ready() noexcept override;

    // From now on, with a full bucket; a size or refill time of 0: no limit. Any thread.
    void set_rate_limit(const backend::TokenBucketConfig& bucket) noexcept;

    [[nodiscard]] SerialMetrics metrics() const noexcept;
    // While no vCPU runs. The rate limit and the streams are not part of the state.
    [[nodiscard]] SerialState save() const;
    void restore(const SerialState& state) noexcept;
    // What the rate limit has left; nothing where there is none.
    [[nodiscard]] std::optional<backend::TokenBucketState> save_budget() const noexcept;
    void restore_budget(const backend::TokenBucketState& state) noexcept;

private:
    [[nodiscard]] std::uint8_t read_register(std::uint64_t offset) noexcept;
    void write_register(std::uint64_t offset, std::uint8_t value) noexcept;
    void transmit(std::byte byte) noexcept;
    void loop_back(std::byte byte) noexcept;
    [[nodiscard]] bool is_over_limit() noexcept;
    [[nodiscard]] bool is_transmitter_ready() const noexcept;
    [[nodiscard]] std::uint8_t line_status() const noexcept;
    [[nodiscard]] std::uint8_t modem_status() const noexcept;
    [[nodiscard]] std::uint8_t pending_interrupt() const noexcept;
    void update_interrupt() noexcept;

    static constexpr std::size_t fifo_bytes = 16;
    static constexpr std::size_t output_queue_bytes = 16384;
    static constexpr std::size_t output_wake_room = output_queue_bytes / 2;

    machine::IrqLine& irq_;
    const host::EventFd& wake_;
    mutable std::mutex mutex_;
    backend::InputStream input_;
    backend::OutputStream output_;
    ByteQueue<fifo_bytes> received_;
    ByteQueue<output_queue_bytes> to_send_;
    std::optional<backend::TokenBucket> limit_;
    SerialMetrics metrics_;
    std::uint8_t interrupt_enable_ = 0;
    std::uint8_t line_control_ = 0;
    std::uint8_t modem_control_ = 0;
    std::uint8_t fifo_control_ = 0;
    std::uint8_t scratch_ = 0;
    std::uint16_t divisor_ = 12;         // 9600 baud; nothing depends on it
    bool transmitter_was_busy_ = false;  // the guest saw it so, and may wait for the interrupt
    bool transmit_interrupt_ = false;    // "transmitter holding register empty" is due
    bool input_ended_ = false;
};

}  // namespace shoal::legacy
