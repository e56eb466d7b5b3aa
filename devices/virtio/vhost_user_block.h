// VhostUserBlock: a virtio block device whose queue another process serves (see
// backend/vhost_user.h), such as qemu-storage-daemon.
//
// That process sees all of the guest's memory, and the operator trusts it like this one. Its
// state cannot be saved. Whoever activates or resets the device waits for it, up to a limit, and
// nobody else does. When it goes away or is too slow the device fails, as if the driver had broken
// a rule. Registers its connection with the reactor; served on the event loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include "devices/abi/virtio_block.h"
#include "devices/backend/vhost_user.h"
#include "devices/host/clock.h"
#include "devices/host/event_fd.h"
#include "devices/host/metrics.h"
#include "devices/host/reactor.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/block.h"
#include "devices/virtio/device.h"

namespace shoal::virtio {

struct VhostUserBlockConfig {
    std::string socket;
    CacheType cache = CacheType::unsafe;

    friend bool operator==(const VhostUserBlockConfig&, const VhostUserBlockConfig&) = default;
};

struct VhostUserBlockMetrics {
    std::uint64_t activate_fails = 0;
    std::uint64_t cfg_fails = 0;    // the configuration could not be read again
    std::uint64_t event_fails = 0;  // the backend went away
    std::uint64_t update_count = 0;
    // Each as long as the last time took.
    std::uint64_t init_time_us = 0;
    std::uint64_t activate_time_us = 0;
    std::uint64_t config_change_time_us = 0;

    void report(host::MetricSink& sink) const;
};

class VhostUserBlock final : public Device, private host::EventHandler {
public:
    // Borrows memory and reactor. Throws std::system_error or std::runtime_error, with the socket's
    // path, when there is no backend or one that cannot do what is needed.
    VhostUserBlock(const VhostUserBlockConfig& config, const machine::GuestMemory& memory,
                   host::Reactor& reactor);
    ~VhostUserBlock() override;

    // Reads the configuration again, for a disk that has grown. Throws std::system_error; EBUSY
    // while the backend is told of an activation or a reset.
    void update_config();

    [[nodiscard]] const VhostUserBlockConfig& config() const noexcept { return config_; }
    [[nodiscard]] VhostUserBlockMetrics metrics() const noexcept;

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override { return features_; }
    [[nodiscard]] std::uint32_t queue_count() const noexcept override { return 1; }
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return Queue::max_size; }
    [[nodiscard]] const host::EventFd* used_event() const noexcept override { return &call_; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void complete_activation() noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void start_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void drain() noexcept override;
    void process() noexcept override { kick_.signal(); }

private:
    // Up to what backends know; secure erase came later and is not passed on.
    using ConfigBytes =
        std::array<std::byte, offsetof(abi::virtio::block::Config, max_secure_erase_sectors)>;

    using Lock = std::unique_lock<std::mutex>;

    [[nodiscard]] backend::VhostUserResult<void> start(std::uint64_t features,
                                                       const Queue::Rings& rings) noexcept;
    [[nodiscard]] bool has_unused_chains() const noexcept;
    // With both mutexes; gives mutex() back while the backend is told.
    void stop(Lock& lock) noexcept;
    void log_failure(const char* what, std::error_code error) const noexcept;
    // The backend hung up.
    void on_events(std::uint32_t events) noexcept override;
    void fail() noexcept;  // with the mutex held

    const VhostUserBlockConfig config_;
    const machine::GuestMemory& memory_;
    host::Reactor& reactor_;
    const std::uint64_t begun_ns_ = host::monotonic_ns();
    // Held while somebody talks to the backend; taken before mutex(), which is not held meanwhile.
    std::mutex conversation_;
    backend::VhostUser connection_;
    bool connected_ = true;
    std::uint64_t features_ = 0;
    ConfigBytes config_bytes_{};
    host::EventFd kick_;
    host::EventFd call_;
    VhostUserBlockMetrics metrics_;
    Transport* transport_ = nullptr;  // while the device is active
    std::uint64_t driver_features_ = 0;
    std::span<Queue> queues_;       // empty while it is not
    std::uint32_t activation_ = 0;  // counts resets and stops
    // One queue on its way: the backend is to be told of it, serves it, still serves it although
    // the driver is gone.
    std::optional<Queue> starting_;
    std::optional<Queue> serving_;
    std::optional<Queue> stopping_;
};

}  // namespace shoal::virtio
