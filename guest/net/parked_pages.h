// ParkedPages: pages that nobody needs any more, except perhaps the device: a packet that waits in
// its queue may name them (TCP sends again what is acknowledged a moment later), and what the next
// owner of such a page writes there would leave the microVM. They are freed once every packet that
// was with the device when they were parked has come back, in whichever order that happens.
//
// Packets are of one of two generations. Newer ones are of the younger, and when the elder has none
// left they change places: so pages are freed though there is always some packet under way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/kernel/pages.h"

namespace shoal::guest::net {

class ParkedPages {
public:
    using Generation = std::uintptr_t;  // 0 or 1

    constexpr ParkedPages() = default;
    ParkedPages(const ParkedPages&) = delete;
    ParkedPages& operator=(const ParkedPages&) = delete;

    // Frees the page when no packet can name it any more: at once when there is none. Its first
    // word is not the device's to read, and is overwritten.
    void park(void* page);

    // A packet goes to the device. Its generation is to be told when it comes back.
    [[nodiscard]] Generation packet_leaves() noexcept;
    void packet_returns(Generation generation);

private:
    struct Page {
        Page* next;
    };

    void free_pages();

    std::array<std::size_t, 2> packets_{};  // with the device, by generation
    Generation younger_ = 0;
    Page* parked_ = nullptr;   // may be named by packets of both generations
    Page* waiting_ = nullptr;  // by those of the elder alone
};

// Of all devices.
inline constinit ParkedPages parked_pages;

}  // namespace shoal::guest::net
