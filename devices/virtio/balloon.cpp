// The balloon as its driver sees it: configuration, queues, whose turn it is.
#include "devices/virtio/balloon.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/os_error.h"
#include "devices/virtio/balloon_pages.h"
#include "devices/virtio/chain_bytes.h"

namespace shoal::virtio {

namespace balloon = abi::virtio::balloon;

namespace {

// A chain of pages may cost a thousand holes of a microsecond: others want their turn, too.
constexpr unsigned max_chains_per_call = 4;

std::uint64_t features_of(const BalloonConfig& config) noexcept {
    return (config.deflate_on_oom ? balloon::feature_deflate_on_oom : 0) |
           (config.stats_polling_interval_s != 0 ? balloon::feature_statistics : 0) |
           (config.free_page_hinting ? balloon::feature_free_page_hint : 0) |
           (config.free_page_reporting ? balloon::feature_reporting : 0);
}

host::UniqueFd make_timer(const BalloonConfig& config) {
    if (config.stats_polling_interval_s == 0) {
        return {};
    }
    return host::UniqueFd{host::check_os(
        ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create")};
}

}  // namespace

Balloon::Balloon(const machine::GuestMemory& memory, host::Reactor& reactor,
                 const BalloonConfig& config)
    : memory_{memory},
      reactor_{reactor},
      features_{features_of(config)},
      timer_{make_timer(config)},
      polling_interval_s_{config.stats_polling_interval_s},
      target_pages_{config.target_pages} {
    if (timer_) {
        reactor_.add(timer_.get(), EPOLLIN, *this);
    }
}

Balloon::~Balloon() {
    if (timer_) {
        reactor_.remove(timer_.get(), *this);
    }
}

std::uint32_t Balloon::device_id() const noexcept {
    return abi::virtio::device_id::balloon;
}

std::uint64_t Balloon::features() const noexcept {
    return features_;
}

std::uint32_t Balloon::queue_count() const noexcept {
    std::uint32_t count = balloon::first_optional_queue;
    for (const std::uint64_t feature :
         {balloon::feature_statistics, balloon::feature_free_page_hint,
          balloon::feature_reporting}) {
        count += (features_ & feature) != 0 ? 1 : 0;
    }
    return count;
}

void Balloon::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
    const balloon::Config config{target_pages_, actual_pages_, hinting_.status().host_cmd};
    const auto bytes = std::as_bytes(std::span{&config, 1});
    std::ranges::fill(data, std::byte{0});
    if (offset < bytes.size()) {
        const auto rest = bytes.subspan(offset);
        std::ranges::copy(rest.first(std::min(rest.size(), data.size())), data.begin());
    }
}

void Balloon::write_config(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    if (offset != balloon::config_actual_offset || data.size() != sizeof actual_pages_) {
        ++metrics_.cfg_fails;
        return;
    }
    std::memcpy(&actual_pages_, data.data(), sizeof actual_pages_);
}

void Balloon::activate(std::uint64_t features, std::span<Queue> queues,
                       Transport& transport) noexcept {
    queues_ = queues;
    transport_ = &transport;
    std::uint32_t next = balloon::first_optional_queue;
    const auto queue_for = [&](std::uint64_t feature) -> Queue* {
        return (features & feature) != 0 ? &queues[next++] : nullptr;
    };
    statistics_queue_ = queue_for(balloon::feature_statistics);
    hinting_queue_ = queue_for(balloon::feature_free_page_hint);
    reporting_queue_ = queue_for(balloon::feature_reporting);
    set_timer(statistics_queue_ != nullptr ? polling_interval_s_ : 0);
}

void Balloon::reset() noexcept {
    transport_ = nullptr;
    queues_ = {};
    statistics_queue_ = hinting_queue_ = reporting_queue_ = nullptr;
    actual_pages_ = 0;
    statistics_.reset();
    hinting_.reset();
    set_timer(0);
}

void Balloon::process() noexcept {
    end_turn(process_all());
}

Balloon::Done Balloon::process_all() noexcept {
    if (Done done = serve_queue(&queues_[balloon::inflate_queue], &Balloon::inflate); !done) {
        return done;
    }
    if (Done done = serve_queue(&queues_[balloon::deflate_queue], &Balloon::deflate); !done) {
        return done;
    }
    if (Done done = take_statistics(); !done) {
        return done;
    }
    if (Done done = serve_queue(hinting_queue_, &Balloon::take_hint); !done) {
        return done;
    }
    return serve_queue(reporting_queue_, &Balloon::take_report);
}

// `queue` is none when its feature was not negotiated.
Balloon::Done Balloon::serve_queue(Queue* queue, Serve serve) noexcept {
    if (queue == nullptr) {
        return {};
    }
    for (unsigned turn = 0; turn < max_chains_per_call; ++turn) {
        const auto chain = queue->pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            if (queue->enable_notifications()) {
                continue;
            }
            return {};
        }
        (this->*serve)(**chain);
        queue->push_used((*chain)->head, 0);
    }
    transport_->process_again();
    return {};
}

void Balloon::inflate(const Chain& chain) noexcept {
    ++metrics_.inflate_count;
    metrics_.event_fails += discard_pfns(memory_, chain).fails;
}

// The driver just uses its pages again: they come back, as zeros, when they are touched.
void Balloon::deflate(const Chain&) noexcept {
    ++metrics_.deflate_count;
}

void Balloon::take_hint(const Chain& chain) noexcept {
    std::uint32_t command = 0;
    if (!chain.readable.empty()) {
        if (copy_readable(chain, std::as_writable_bytes(std::span{&command, 1})) !=
            sizeof command) {
            ++metrics_.free_page_hint_fails;
        } else if (hinting_.hear(command)) {
            transport_->config_changed();
        }
    }
    if (!chain.writable.empty() && hinting_.takes_pages()) {
        const DiscardResult result = discard_buffers(memory_, chain);
        ++metrics_.free_page_hint_count;
        metrics_.free_page_hint_freed += result.discarded_bytes;
        metrics_.free_page_hint_fails += result.fails;
    }
}

void Balloon::take_report(const Chain& chain) noexcept {
    const DiscardResult result = discard_buffers(memory_, chain);
    ++metrics_.free_page_report_count;
    metrics_.free_page_report_freed += result.discarded_bytes;
    metrics_.free_page_report_fails += result.fails;
}

Balloon::Done Balloon::take_statistics() noexcept {
    if (statistics_queue_ == nullptr) {
        return {};
    }
    const auto taken = statistics_.take(*statistics_queue_);
    if (!taken) {
        return std::unexpected(taken.error());
    }
    metrics_.stats_updates_count += taken->updates;
    metrics_.stats_update_fails += taken->fails;
    if (taken->more) {
        transport_->process_again();
    }
    return {};
}

// What ends every turn: the driver hears of used buffers, or of its mistake.
void Balloon::end_turn(const Done& done) noexcept {
    Transport& transport = *transport_;
    if (!done) {
        ++metrics_.event_fails;
        reset();
        transport.fail(done.error());
        return;
    }
    for (Queue& queue : queues_) {
        transport.used_buffers(queue);
    }
}

void Balloon::on_events(std::uint32_t) noexcept {
    const std::scoped_lock lock{mutex()};
    std::uint64_t count = 0;
    const bool fired = ::read(timer_.get(), &count, sizeof count) == sizeof count;
    if (fired && statistics_queue_ != nullptr) {
        statistics_.ask(*statistics_queue_);
        transport_->used_buffers(*statistics_queue_);
    }
}

}  // namespace shoal::virtio
