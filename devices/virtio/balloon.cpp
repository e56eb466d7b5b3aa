// The balloon as its driver sees it: configuration, queues, whose turn it is.
#include "devices/virtio/balloon.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/loop_lock.h"
#include "devices/host/os_error.h"
#include "devices/virtio/balloon_pages.h"
#include "devices/virtio/chain_bytes.h"
#include "devices/virtio/config_bytes.h"

namespace shoal::virtio {

namespace balloon = abi::virtio::balloon;

namespace {

// For each queue. To free a MiB of pages takes up to 0.1 ms, as do some thirty single pages.
constexpr Allowance allowance_per_call{.chains = 4, .bytes = 4 << 20};

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
    copy_config(config, offset, data);
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

void Balloon::stop_queue(std::uint32_t idx) noexcept {
    const Queue* const queue = &queues_[idx];
    if (queue == statistics_queue_) {
        statistics_.reset();
    } else if (queue == hinting_queue_) {
        hint_progress_ = {};
    } else if (queue == reporting_queue_) {
        report_progress_ = {};
    }
}

void Balloon::reset() noexcept {
    transport_ = nullptr;
    queues_ = {};
    statistics_queue_ = hinting_queue_ = reporting_queue_ = nullptr;
    actual_pages_ = 0;
    statistics_.reset();
    hinting_.reset();
    hint_progress_ = report_progress_ = {};
    set_timer(0);
}

void Balloon::process() noexcept {
    end_turn(process_all());
}

Done Balloon::process_all() noexcept {
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
Done Balloon::serve_queue(Queue* queue, Serve serve) noexcept {
    if (queue == nullptr) {
        return {};
    }
    Allowance allowance = allowance_per_call;
    while (allowance.take_chain()) {
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
        if ((this->*serve)(**chain, allowance) == Served::part) {
            queue->undo_pops(1);
            break;
        }
        queue->push_used((*chain)->head, 0);
    }
    transport_->process_again();
    return {};
}

Balloon::Served Balloon::inflate(const Chain& chain, Allowance& allowance) noexcept {
    ++metrics_.inflate_count;
    metrics_.event_fails += discard_pfns(memory_, chain, allowance).fails;
    return Served::all;
}

// The driver just uses its pages again: they come back, as zeros, when they are touched.
Balloon::Served Balloon::deflate(const Chain&, Allowance&) noexcept {
    ++metrics_.deflate_count;
    return Served::all;
}

Balloon::Served Balloon::take_hint(const Chain& chain, Allowance& allowance) noexcept {
    if (hint_progress_.is_at_start()) {
        hear_hinting_command(chain);
    }
    if (!chain.writable.empty() && hinting_.takes_pages()) {
        if (!discard_buffers(memory_, chain, hint_progress_, allowance)) {
            return Served::part;
        }
        ++metrics_.free_page_hint_count;
        metrics_.free_page_hint_freed += hint_progress_.result.discarded_bytes;
        metrics_.free_page_hint_fails += hint_progress_.result.fails;
    }
    hint_progress_ = {};
    return Served::all;
}

void Balloon::hear_hinting_command(const Chain& chain) noexcept {
    if (chain.readable.empty()) {
        return;
    }
    std::uint32_t command = 0;
    if (copy_readable(chain, std::as_writable_bytes(std::span{&command, 1})) != sizeof command) {
        ++metrics_.free_page_hint_fails;
    } else if (hinting_.hear(command)) {
        transport_->config_changed();
    }
}

Balloon::Served Balloon::take_report(const Chain& chain, Allowance& allowance) noexcept {
    if (!discard_buffers(memory_, chain, report_progress_, allowance)) {
        return Served::part;
    }
    ++metrics_.free_page_report_count;
    metrics_.free_page_report_freed += report_progress_.result.discarded_bytes;
    metrics_.free_page_report_fails += report_progress_.result.fails;
    report_progress_ = {};
    return Served::all;
}

Done Balloon::take_statistics() noexcept {
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

void Balloon::end_turn(const Done& done) noexcept {
    metrics_.event_fails += done ? 0U : 1U;
    virtio::end_turn(*this, *transport_, queues_, done);
}

void Balloon::on_events(std::uint32_t events) noexcept {
    const host::LoopLock lock{mutex(), reactor_, *this, events};
    if (!lock) {
        return;
    }
    std::uint64_t count = 0;
    const bool fired = ::read(timer_.get(), &count, sizeof count) == sizeof count;
    if (fired && statistics_queue_ != nullptr) {
        statistics_.ask(*statistics_queue_);
        transport_->used_buffers(*statistics_queue_);
    }
}

}  // namespace shoal::virtio
