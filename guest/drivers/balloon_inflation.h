// BalloonInflation: memory that the host wants (virtio 1.2, 5.5.6): whole free large pages, which
// go to the device and come back when it wants less, or when the program needs them.
//
// One request is with the device at a time. The program keeps the last part of memory. Not part of
// what the host wants is what no large page is left for; it is tried again with each go_on().
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "guest/drivers/virtio_mmio.h"

namespace shoal::guest {

class BalloonInflation {
public:
    // Queues of the device's, by abi::virtio::balloon, that are about to be started, and room for
    // request_bytes, page-aligned. All are borrowed.
    BalloonInflation(VirtioMmio& device, Virtqueue& inflate, Virtqueue& deflate,
                     std::byte* request);

    static constexpr std::size_t request_bytes = 2048;  // the small pages of a large one

    // How much the host wants, in pages of 4 KiB. Less than a large page is left out.
    void want(std::uint32_t pages) noexcept { wanted_ = pages / pages_of_large; }
    // Sends the next request unless one is under way or there is nothing to do. Never allocates.
    void go_on();
    // Whether the device has taken a request meanwhile.
    bool collect();
    // Takes a large page back at once, and wants no more than is left. False when there is none, or
    // the device does not answer.
    bool give_back();

    [[nodiscard]] std::uint32_t held_pages() const noexcept {
        return static_cast<std::uint32_t>(held_.size()) * pages_of_large;
    }
    [[nodiscard]] bool is_busy() const noexcept { return busy_ != nullptr; }
    // Whether the next go_on() may do more.
    [[nodiscard]] bool is_behind() const noexcept { return held_.size() != wanted_; }

private:
    static constexpr std::uint32_t pages_of_large = 512;
    static_assert(pages_of_large * sizeof(std::uint32_t) == request_bytes);

    void tell(std::uint32_t idx, Virtqueue& queue, const void* page);

    VirtioMmio& device_;
    Virtqueue& inflate_;
    Virtqueue& deflate_;
    std::byte* request_;
    Virtqueue* busy_ = nullptr;  // the queue with the request under way
    std::size_t wanted_ = 0;     // large pages
    std::vector<void*> held_{};
};

}  // namespace shoal::guest
