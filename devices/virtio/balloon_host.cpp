// The balloon as the host sees it: target, statistics, hinting, metrics, saved state.
#include <sys/timerfd.h>

#include <mutex>

#include "devices/host/check.h"
#include "devices/virtio/balloon.h"

namespace shoal::virtio {

namespace balloon = abi::virtio::balloon;

BalloonConfig Balloon::config() const noexcept {
    const std::scoped_lock lock{mutex()};
    return {
        .target_pages = target_pages_,
        .deflate_on_oom = (features_ & balloon::feature_deflate_on_oom) != 0,
        .stats_polling_interval_s = polling_interval_s_,
        .free_page_hinting = (features_ & balloon::feature_free_page_hint) != 0,
        .free_page_reporting = (features_ & balloon::feature_reporting) != 0,
    };
}

Balloon::Result Balloon::set_target(std::uint32_t pages) noexcept {
    const std::scoped_lock lock{mutex()};
    if (transport_ == nullptr) {
        return std::unexpected(BalloonError::not_active);
    }
    target_pages_ = pages;
    change_config();
    return {};
}

std::expected<BalloonStatisticsReport, BalloonError> Balloon::statistics() const noexcept {
    const std::scoped_lock lock{mutex()};
    if (polling_interval_s_ == 0) {
        return std::unexpected(BalloonError::statistics_disabled);
    }
    return BalloonStatisticsReport{target_pages_, actual_pages_, statistics_.latest()};
}

Balloon::Result Balloon::set_polling_interval(std::uint16_t interval_s) noexcept {
    const std::scoped_lock lock{mutex()};
    if (interval_s == polling_interval_s_) {
        return {};
    }
    if (interval_s == 0 || polling_interval_s_ == 0) {
        return std::unexpected(BalloonError::statistics_state_change);
    }
    polling_interval_s_ = interval_s;
    if (statistics_queue_ != nullptr) {
        set_timer(interval_s);
    }
    return {};
}

Balloon::Result Balloon::start_hinting(AcknowledgeOnStop acknowledge) noexcept {
    const std::scoped_lock lock{mutex()};
    if ((features_ & balloon::feature_free_page_hint) == 0) {
        return std::unexpected(BalloonError::hinting_disabled);
    }
    if (transport_ == nullptr) {
        return std::unexpected(BalloonError::not_active);
    }
    hinting_.start(acknowledge);
    change_config();
    return {};
}

Balloon::Result Balloon::stop_hinting() noexcept {
    const std::scoped_lock lock{mutex()};
    if ((features_ & balloon::feature_free_page_hint) == 0) {
        return std::unexpected(BalloonError::hinting_disabled);
    }
    if (transport_ == nullptr) {
        return std::unexpected(BalloonError::not_active);
    }
    hinting_.stop();
    change_config();
    return {};
}

std::expected<HintingStatus, BalloonError> Balloon::hinting_status() const noexcept {
    const std::scoped_lock lock{mutex()};
    if ((features_ & balloon::feature_free_page_hint) == 0) {
        return std::unexpected(BalloonError::hinting_disabled);
    }
    return hinting_.status();
}

BalloonMetrics Balloon::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    return metrics_;
}

BalloonState Balloon::save() const noexcept {
    const std::scoped_lock lock{mutex()};
    return {
        .statistics = {target_pages_, actual_pages_, statistics_.latest()},
        .stats_polling_interval_s = polling_interval_s_,
        .statistics_buffer = statistics_.buffer(),
        .hinting = hinting_.save(),
    };
}

void Balloon::restore(const BalloonState& state) noexcept {
    const std::scoped_lock lock{mutex()};
    target_pages_ = state.statistics.target_pages;
    actual_pages_ = state.statistics.actual_pages;
    statistics_.restore(state.statistics.guest, state.statistics_buffer);
    const std::uint32_t before = state.hinting.status.host_cmd;
    hinting_.restore(state.hinting);
    if (timer_ && state.stats_polling_interval_s != 0) {
        polling_interval_s_ = state.stats_polling_interval_s;
    }
    if (statistics_queue_ != nullptr) {
        set_timer(polling_interval_s_);
    }
    if (hinting_.status().host_cmd != before) {
        change_config();
    }
}

// The driver hears of it when there is one, else it finds it when it comes.
void Balloon::change_config() noexcept {
    if (transport_ != nullptr) {
        transport_->config_changed();
    }
}

void Balloon::set_timer(std::uint16_t interval_s) noexcept {
    if (timer_) {
        itimerspec when{};
        when.it_value.tv_sec = interval_s;
        when.it_interval.tv_sec = interval_s;
        SHOAL_CHECK(::timerfd_settime(timer_.get(), 0, &when, nullptr) == 0);
    }
}

}  // namespace shoal::virtio
