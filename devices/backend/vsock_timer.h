// VsockTimer: tells its client, on the event loop, that some time has passed.
#pragma once

#include <cstdint>

#include "devices/host/reactor.h"
#include "devices/host/unique_fd.h"

namespace shoal::backend {

class VsockTimer final : private host::EventHandler {
public:
    class Client {
    public:
        virtual ~Client() = default;
        virtual void on_timer() noexcept = 0;
    };

    // Borrows both. Throws std::system_error when the host has no timerfd.
    VsockTimer(host::Reactor& reactor, Client& client);
    ~VsockTimer() override;
    VsockTimer(const VsockTimer&) = delete;
    VsockTimer& operator=(const VsockTimer&) = delete;

    // Once, after this time; 0 is at once. Replaces what was started before. Any thread.
    void start(std::uint32_t delay_ms) const noexcept;

private:
    void on_events(std::uint32_t events) noexcept override;

    host::Reactor& reactor_;
    Client& client_;
    host::UniqueFd fd_;
};

}  // namespace shoal::backend
