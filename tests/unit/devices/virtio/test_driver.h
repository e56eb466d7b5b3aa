// TestDriver: a driver's way to a virtio-mmio device's registers for tests.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "devices/abi/virtio_mmio.h"
#include "devices/virtio/mmio_transport.h"

namespace shoal::virtio {

class TestDriver {
public:
    using Register = abi::virtio::MmioRegister;

    explicit TestDriver(MmioTransport& transport) : transport_{transport} {}

    [[nodiscard]] std::uint32_t read(Register which) const {
        return read_at<std::uint32_t>(at(which));
    }
    void write(Register which, std::uint32_t value) const { write_at(at(which), value); }

    template <typename T>
    [[nodiscard]] T read_at(std::uint64_t offset) const {
        std::array<std::byte, sizeof(T)> data;
        data.fill(std::byte{0xAA});
        transport_.read(offset, data);
        T value;
        std::memcpy(&value, data.data(), sizeof value);
        return value;
    }
    template <typename T>
    void write_at(std::uint64_t offset, T value) const {
        transport_.write(offset, std::as_bytes(std::span{&value, 1}));
    }

    [[nodiscard]] std::uint32_t status() const { return read(Register::status); }
    void set_status(Status status) const {
        write(Register::status, static_cast<std::uint32_t>(status));
    }

    void reset_to_driver() const {
        set_status(Status::reset);
        set_status(Status::acknowledge);
        set_status(Status::driver);
    }
    void choose_features(std::uint64_t features) const {
        write(Register::driver_features_select, 0);
        write(Register::driver_features, static_cast<std::uint32_t>(features));
        write(Register::driver_features_select, 1);
        write(Register::driver_features, static_cast<std::uint32_t>(features >> 32));
        set_status(Status::features_ok);
    }
    void set_up_queue(std::uint32_t idx, const QueueLayout& layout) const {
        write(Register::queue_select, idx);
        write(Register::queue_size, layout.size);
        write_address(Register::queue_descriptors_low, Register::queue_descriptors_high,
                      layout.descriptors);
        write_address(Register::queue_driver_low, Register::queue_driver_high, layout.avail);
        write_address(Register::queue_device_low, Register::queue_device_high, layout.used);
        write(Register::queue_ready, 1);
    }
    // True when it then is not ready.
    bool stop_queue(std::uint32_t idx) const {
        write(Register::queue_select, idx);
        write(Register::queue_ready, 0);
        return read(Register::queue_ready) == 0;
    }
    // What the event loop does when the notification arrives. False when there was none.
    bool serve_notification() const {
        const bool notified = transport_.notify_event().drain();
        if (notified) {
            transport_.process_queues();
        }
        return notified;
    }
    void notify(std::uint32_t queue) const {
        write(Register::queue_notify, queue);
        while (serve_notification()) {
        }
    }

private:
    static constexpr std::uint64_t at(Register which) { return static_cast<std::uint64_t>(which); }
    void write_address(Register low, Register high, machine::Gpa address) const {
        write(low, static_cast<std::uint32_t>(address.value()));
        write(high, static_cast<std::uint32_t>(address.value() >> 32));
    }

    MmioTransport& transport_;
};

}  // namespace shoal::virtio
