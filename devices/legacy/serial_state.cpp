// The serial port as the host sees it: rate limit, metrics, saved state.
#include <mutex>

#include "devices/host/clock.h"
#include "devices/legacy/serial.h"

namespace shoal::legacy {

void SerialMetrics::report(host::MetricSink& sink) const {
    sink.counter("error_count", error_count);
    sink.counter("flush_count", 0);  // nothing is held back
    sink.counter("missed_read_count", missed_read_count);
    sink.counter("missed_write_count", missed_write_count);
    sink.counter("read_count", read_count);
    sink.counter("write_count", write_count);
    sink.counter("rate_limiter_dropped_bytes", rate_limiter_dropped_bytes);
}

void Serial::set_rate_limit(const backend::TokenBucketConfig& bucket) noexcept {
    const std::scoped_lock lock{mutex_};
    limit_.reset();
    if (bucket.size != 0 && bucket.refill_time_ms != 0) {
        limit_.emplace(bucket, host::monotonic_ns());
    }
}

bool Serial::is_over_limit() noexcept {
    std::uint64_t overdraft_ns = 0;  // never: a byte is no more than a bucket holds
    return limit_ &&
           limit_->take(1, host::monotonic_ns(), overdraft_ns) == backend::TokenBucket::Taken::none;
}

SerialMetrics Serial::metrics() const noexcept {
    const std::scoped_lock lock{mutex_};
    SerialMetrics metrics = metrics_;
    metrics.error_count = output_.failed() ? 1 : 0;
    return metrics;
}

SerialState Serial::save() const {
    const std::scoped_lock lock{mutex_};
    return {
        .interrupt_enable = interrupt_enable_,
        .line_control = line_control_,
        .modem_control = modem_control_,
        .fifo_control = fifo_control_,
        .scratch = scratch_,
        .divisor = divisor_,
        .transmitter_was_busy = transmitter_was_busy_,
        .transmit_interrupt = transmit_interrupt_,
        .received = received_.save(),
        .to_send = to_send_.save(),
    };
}

void Serial::restore(const SerialState& state) noexcept {
    const std::scoped_lock lock{mutex_};
    interrupt_enable_ = state.interrupt_enable;
    line_control_ = state.line_control;
    modem_control_ = state.modem_control;
    fifo_control_ = state.fifo_control;
    scratch_ = state.scratch;
    divisor_ = state.divisor;
    transmitter_was_busy_ = state.transmitter_was_busy;
    transmit_interrupt_ = state.transmit_interrupt;
    received_.restore(state.received);
    to_send_.restore(state.to_send);
    update_interrupt();
    wake_.signal();
}

std::optional<backend::TokenBucketState> Serial::save_budget() const noexcept {
    const std::scoped_lock lock{mutex_};
    return limit_ ? std::optional{limit_->save(host::monotonic_ns())} : std::nullopt;
}

void Serial::restore_budget(const backend::TokenBucketState& state) noexcept {
    const std::scoped_lock lock{mutex_};
    if (limit_) {
        limit_->restore(state, host::monotonic_ns());
    }
}

}  // namespace shoal::legacy
