// VsockGreeter: accepts host programs that want to talk to the guest, hears which port each one
// wants, and hands it on.
//
// A program that says nothing is dropped after a while. There are never more than max_waiting of
// them; the others wait in the kernel's queue, also while the host has no descriptors left.
// On the event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devices/backend/vsock_listener.h"
#include "devices/backend/vsock_timer.h"
#include "devices/host/reactor.h"
#include "devices/host/unique_fd.h"

namespace shoal::backend {

class VsockGreeter final : private host::EventHandler, private VsockTimer::Client {
public:
    static constexpr std::size_t max_waiting = 256;
    // How many ticks of the timer a program has at least to say its line.
    static constexpr std::uint32_t patience_ticks = 2;

    class Sink {
    public:
        virtual ~Sink() = default;
        // A program, not yet answered, wants this port of the guest. The sink owns the socket.
        virtual void on_connect_request(std::uint32_t port, host::UniqueFd socket) noexcept = 0;
    };

    // Listens. Borrows reactor and sink. Throws as VsockListener does.
    VsockGreeter(std::string path, host::Reactor& reactor, Sink& sink, std::uint32_t tick_ms);
    ~VsockGreeter() override;
    VsockGreeter(const VsockGreeter&) = delete;
    VsockGreeter& operator=(const VsockGreeter&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return listener_.path(); }
    [[nodiscard]] bool is_at_its_path() const noexcept { return listener_.is_at_its_path(); }

private:
    class Visitor;

    void on_events(std::uint32_t events) noexcept override;
    void on_timer() noexcept override;
    void welcome(host::UniqueFd socket) noexcept;
    void listen_to(Visitor& visitor) noexcept;
    void forget(Visitor& visitor) noexcept;
    void keep_ticking() noexcept;
    void pause() noexcept;
    void resume() noexcept;

    host::Reactor& reactor_;
    Sink& sink_;
    const std::uint32_t tick_ms_;
    VsockListener listener_;
    VsockTimer timer_;
    std::vector<std::unique_ptr<Visitor>> waiting_;
    bool paused_ = false;   // the listener is not watched
    bool ticking_ = false;  // the timer was started
};

}  // namespace shoal::backend
