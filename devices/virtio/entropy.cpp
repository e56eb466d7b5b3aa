// Requests for random bytes, and when they have to wait.
#include "devices/virtio/entropy.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/loop_lock.h"
#include "devices/virtio/chain_bytes.h"

namespace shoal::virtio {
namespace {

// How many bytes the host gave.
std::size_t random_bytes(std::span<std::byte> into) noexcept {
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t count = ::getrandom(into.data() + done, into.size() - done, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        done += static_cast<std::size_t>(count);
    }
    return done;
}

}  // namespace

void EntropyMetrics::report(host::MetricSink& sink) const {
    sink.counter("activate_fails", activate_fails);
    sink.counter("entropy_event_count", entropy_event_count);
    sink.counter("entropy_event_fails", entropy_event_fails);
    sink.counter("entropy_bytes", entropy_bytes);
    sink.counter("host_rng_fails", host_rng_fails);
    sink.counter("entropy_rate_limiter_throttled", entropy_rate_limiter_throttled);
    sink.counter("rate_limiter_event_count", rate_limiter_event_count);
}

Entropy::Entropy(host::Reactor& reactor, const backend::RateLimiterConfig& limits)
    : reactor_{reactor}, limiter_{limits} {
    watch_timer();
}

Entropy::~Entropy() {
    if (timer_watched_) {
        reactor_.remove(limiter_.fd(), *this);
    }
}

void Entropy::watch_timer() {
    if (!timer_watched_ && limiter_.fd() >= 0) {
        reactor_.add(limiter_.fd(), EPOLLIN, *this);
        timer_watched_ = true;
    }
}

void Entropy::update_rate_limiter(const backend::RateLimiterConfig& update) {
    const std::scoped_lock lock{mutex()};
    limiter_.update(update);
    watch_timer();
}

backend::RateLimiterConfig Entropy::rate_limiter() const noexcept {
    const std::scoped_lock lock{mutex()};
    return limiter_.config();
}

EntropyMetrics Entropy::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    return metrics_;
}

std::uint32_t Entropy::device_id() const noexcept {
    return abi::virtio::device_id::entropy;
}

// There is no configuration (5.4.4).
void Entropy::read_config(std::uint64_t, std::span<std::byte> data) const noexcept {
    std::ranges::fill(data, std::byte{0});
}

void Entropy::activate(std::uint64_t, std::span<Queue> queues, Transport& transport) noexcept {
    queue_ = &queues.front();
    transport_ = &transport;
}

void Entropy::stop_queue(std::uint32_t) noexcept {
    request_.reset();
}

void Entropy::reset() noexcept {
    stop_queue(0);
    queue_ = nullptr;
    transport_ = nullptr;
}

void Entropy::process() noexcept {
    Allowance allowance = allowance_per_pass;
    while (allowance.take_chain()) {
        const auto more = serve_one(allowance);
        if (!more) {
            Transport& transport = *transport_;
            ++metrics_.entropy_event_fails;
            reset();
            transport.fail(more.error());
            return;
        }
        if (!*more) {
            transport_->used_buffers(*queue_);
            return;
        }
    }
    transport_->used_buffers(*queue_);
    transport_->process_again();
}

std::expected<bool, QueueError> Entropy::serve_one(Allowance& allowance) noexcept {
    const auto found = take_request();
    if (!found || !*found) {
        return found;
    }
    const auto size_bytes = std::min<std::size_t>(size_of(request_->writable), max_request_bytes);
    if (!limiter_.consume(size_bytes)) {
        ++metrics_.entropy_rate_limiter_throttled;
        return false;
    }
    allowance.spend(size_bytes);
    const std::size_t written = fill(*request_, size_bytes);
    queue_->push_used(request_->head, static_cast<std::uint32_t>(written));
    request_.reset();
    return true;
}

// True when there is a request at hand. Notifications stay suppressed while one waits.
std::expected<bool, QueueError> Entropy::take_request() noexcept {
    if (request_) {
        return true;
    }
    queue_->suppress_notifications();
    const auto chain = queue_->pop_or_listen();
    if (!chain) {
        return std::unexpected(chain.error());
    }
    if (*chain && (*chain)->writable.empty()) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    request_ = *chain;
    return request_.has_value();
}

std::size_t Entropy::fill(const Chain& chain, std::size_t size_bytes) noexcept {
    std::size_t done = 0;
    for (const std::span<std::byte> buffer : chain.writable) {
        const auto piece = buffer.first(std::min(buffer.size(), size_bytes - done));
        const std::size_t count = random_bytes(piece);
        done += count;
        if (count < piece.size()) {
            ++metrics_.host_rng_fails;
            break;
        }
    }
    metrics_.entropy_bytes += done;
    ++(done > 0 ? metrics_.entropy_event_count : metrics_.entropy_event_fails);
    return done;
}

void Entropy::on_events(std::uint32_t events) noexcept {
    const host::LoopLock lock{mutex(), reactor_, *this, events};
    if (!lock) {
        return;
    }
    limiter_.on_timer();
    ++metrics_.rate_limiter_event_count;
    if (transport_ != nullptr) {
        process();
    }
}

EntropyState Entropy::save() const noexcept {
    const std::scoped_lock lock{mutex()};
    return {request_ ? std::optional{request_->head} : std::nullopt};
}

backend::RateLimiterState Entropy::save_budget() const noexcept {
    const std::scoped_lock lock{mutex()};
    return limiter_.save();
}

void Entropy::restore_budget(const backend::RateLimiterState& state) noexcept {
    const std::scoped_lock lock{mutex()};
    limiter_.restore(state);
}

bool Entropy::restore(const EntropyState& state) noexcept {
    const std::scoped_lock lock{mutex()};
    if (!state.waiting) {
        return true;
    }
    const auto chain = queue_ != nullptr ? queue_->collect_again(*state.waiting)
                                         : std::unexpected(QueueError::unusable_buffer);
    if (!chain || chain->writable.empty()) {
        return false;
    }
    request_ = *chain;
    return true;
}

}  // namespace shoal::virtio
