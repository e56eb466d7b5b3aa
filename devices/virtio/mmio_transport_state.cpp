// virtio-mmio's registers as a saved state.
#include <algorithm>
#include <array>
#include <mutex>
#include <stdexcept>
#include <string>

#include "devices/virtio/mmio_transport.h"

namespace shoal::virtio {
namespace {

constexpr std::array known_statuses{Status::reset, Status::acknowledge, Status::driver,
                                    Status::features_ok, Status::driver_ok};
constexpr std::uint32_t known_trouble =
    abi::virtio::status::device_needs_reset | abi::virtio::status::failed;

[[noreturn]] void refuse(std::uint32_t device_id, const std::string& why) {
    throw std::invalid_argument("the saved state of the virtio device of type " +
                                std::to_string(device_id) + " cannot be restored: " + why);
}

}  // namespace

void MmioTransport::resume() noexcept {
    {
        const std::scoped_lock lock{device_.mutex()};
        if (interrupt_status_ != 0) {
            irq_.raise();
        }
    }
    process_queues();
}

MmioTransportState MmioTransport::save() const {
    const std::scoped_lock lock{device_.mutex()};
    MmioTransportState state{
        .status = static_cast<std::uint32_t>(status_),
        .trouble = trouble_,
        .interrupt_status = interrupt_status_,
        .config_generation = config_generation_,
        .device_features_select = device_features_select_,
        .driver_features_select = driver_features_select_,
        .driver_features = driver_features_,
        .queue_select = queue_select_,
        .queues = {},
    };
    for (std::size_t idx = 0; idx < queues_.size(); ++idx) {
        state.queues.push_back({layouts_[idx], queues_[idx].is_ready(), queues_[idx].save()});
    }
    return state;
}

void MmioTransport::restore(const MmioTransportState& state) {
    const std::scoped_lock lock{device_.mutex()};
    const auto status = static_cast<Status>(state.status);
    if (std::ranges::find(known_statuses, status) == known_statuses.end() ||
        (state.trouble & ~known_trouble) != 0) {
        refuse(device_.device_id(), "its status is " + std::to_string(state.status));
    }
    if (status >= Status::features_ok && (state.driver_features & ~offered_features()) != 0) {
        refuse(device_.device_id(), "it uses features that are not offered here");
    }
    if (state.queues.size() != queues_.size()) {
        refuse(device_.device_id(), "it has " + std::to_string(state.queues.size()) +
                                        " queues, here it has " + std::to_string(queues_.size()));
    }
    driver_features_ = state.driver_features;
    for (std::size_t idx = 0; idx < queues_.size(); ++idx) {
        restore_queue(idx, state.queues[idx]);
    }
    status_ = status;
    trouble_ = state.trouble;
    interrupt_status_ = state.interrupt_status;
    config_generation_ = state.config_generation;
    device_features_select_ = state.device_features_select;
    driver_features_select_ = state.driver_features_select;
    queue_select_ = state.queue_select;
    if (is_active()) {
        device_.activate(driver_features_, queues_, *this);
    }
}

void MmioTransport::restore_queue(std::size_t idx, const MmioQueueState& state) {
    layouts_[idx] = state.layout;
    queues_[idx].set_features(driver_features_);
    if (!state.is_ready) {
        return;
    }
    if (!queues_[idx].configure(state.layout, device_.queue_size_max())) {
        refuse(device_.device_id(),
               "queue " + std::to_string(idx) + " has no place in this memory");
    }
    queues_[idx].restore(state.position);
}

}  // namespace shoal::virtio
