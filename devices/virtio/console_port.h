// ConsolePort: the bytes of one console port: two queues, two host streams, chains half done.
//
// No locks: the console holds the device's mutex in every call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "devices/backend/stream.h"
#include "devices/host/metrics.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// An input of -1: the port has no input, and its end is never announced.
struct ConsolePortStreams {
    backend::InputStream input;
    backend::OutputStream output;
    std::string_view name = {};  // the driver may show it; outlives the console
};

struct ConsoleMetrics {
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;

    void report(host::MetricSink& sink) const {
        sink.counter("bytes_in", bytes_in);
        sink.counter("bytes_out", bytes_out);
    }
};

// Chains are named by their heads.
struct ConsolePortState {
    struct Sending {
        std::uint16_t head = 0;
        std::uint32_t idx = 0;  // of the first buffer that is not done
        std::uint32_t offset = 0;

        friend bool operator==(const Sending&, const Sending&) = default;
    };
    bool is_open = false;
    bool end_announced = false;
    std::optional<Sending> sending;
    std::optional<std::uint16_t> receiving;

    friend bool operator==(const ConsolePortState&, const ConsolePortState&) = default;
};

class ConsolePort {
public:
    enum class Progress {
        idle,        // all is written
        blocked,     // the stream takes no more now
        unfinished,  // enough for one call
    };

    explicit ConsolePort(const ConsolePortStreams& streams) noexcept : streams_{streams} {}

    [[nodiscard]] const ConsolePortStreams& streams() const noexcept { return streams_; }
    [[nodiscard]] const ConsoleMetrics& metrics() const noexcept { return metrics_; }

    // Whether waiting for the stream is of use.
    [[nodiscard]] bool wants_input() const noexcept {
        return is_open_ && !input_ended_ && receiving_ && streams_.input.fd() != no_input;
    }
    [[nodiscard]] bool wants_output() const noexcept { return sending_.has_value(); }

    // Writes what the driver made available. A chain is used when all of it is written.
    [[nodiscard]] std::expected<Progress, QueueError> send(Queue& transmit) noexcept;

    // Makes sure that a buffer is at hand, if the driver gave one.
    [[nodiscard]] std::expected<void, QueueError> prepare(Queue& receive) noexcept;
    // Reads what the stream has into the driver's buffers, once it has opened the port.
    [[nodiscard]] std::expected<void, QueueError> receive(Queue& receive) noexcept;

    // By the driver. Every opening hears of the input's end anew.
    void open() noexcept;
    void close() noexcept { is_open_ = false; }
    // True once for each opening: the input is at its end and all of it delivered.
    [[nodiscard]] bool take_input_end() noexcept;

    // Forgets the chain at hand; what was read or written stays so.
    void stop_sending() noexcept { sending_.reset(); }
    void stop_receiving() noexcept { receiving_.reset(); }
    // Forgets the driver, and both.
    void reset() noexcept;

    // Whether the input has ended is the stream's, and not part of the state.
    [[nodiscard]] ConsolePortState save() const noexcept;
    // False when the chains are not what they were said to be.
    [[nodiscard]] bool restore(const ConsolePortState& state, Queue& transmit,
                               Queue& receive) noexcept;

private:
    struct Sending {
        Chain chain;
        std::size_t idx = 0;     // of the first buffer that is not done
        std::size_t offset = 0;  // in it
    };
    static constexpr int no_input = -1;
    // So that one stream does not starve the others.
    static constexpr Allowance allowance_per_call{.chains = 16, .bytes = 64 << 10};

    [[nodiscard]] Progress write_buffers(Allowance& allowance) noexcept;
    [[nodiscard]] bool restore_sending(const ConsolePortState::Sending& state,
                                       Queue& transmit) noexcept;
    [[nodiscard]] bool restore_receiving(std::uint16_t head, Queue& receive) noexcept;

    ConsolePortStreams streams_;
    ConsoleMetrics metrics_;
    bool is_open_ = false;
    bool input_ended_ = false;
    bool end_announced_ = false;
    std::optional<Sending> sending_;
    std::optional<Chain> receiving_;
};

}  // namespace shoal::virtio
