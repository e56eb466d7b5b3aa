// Who waits at the door.
#include "devices/backend/vsock_greeter.h"

#include <utility>

#include "devices/backend/vsock_greeting.h"
#include "devices/backend/vsock_watch.h"

namespace shoal::backend {

class VsockGreeter::Visitor final : public host::EventHandler {
public:
    Visitor(VsockGreeter& greeter, host::UniqueFd accepted) noexcept
        : socket{std::move(accepted)}, greeter_{greeter} {}
    // The greeter may forget, that is destroy, this object: nothing is touched afterwards.
    void on_events(std::uint32_t) noexcept override { greeter_.listen_to(*this); }

    host::UniqueFd socket;
    VsockGreeting greeting;
    std::uint32_t ticks_left = patience_ticks + 1;  // the first tick may come at once

private:
    VsockGreeter& greeter_;
};

VsockGreeter::VsockGreeter(std::string path, host::Reactor& reactor, Sink& sink,
                           std::uint32_t tick_ms)
    : reactor_{reactor},
      sink_{sink},
      tick_ms_{tick_ms},
      listener_{std::move(path)},
      timer_{reactor, *this} {
    reactor_.add(listener_.fd(), EPOLLIN, *this);
}

VsockGreeter::~VsockGreeter() {
    for (const auto& visitor : waiting_) {
        reactor_.remove(visitor->socket.get(), *visitor);
    }
    reactor_.remove(listener_.fd(), *this);
}

void VsockGreeter::on_events(std::uint32_t) noexcept {
    for (std::size_t turn = 0; turn < max_waiting && waiting_.size() < max_waiting; ++turn) {
        AcceptedSocket accepted = listener_.accept();
        if (accepted.socket) {
            welcome(std::move(accepted.socket));
        } else if (accepted.error == std::errc::resource_unavailable_try_again) {
            return;
        } else if (accepted.error != std::errc::connection_aborted &&
                   accepted.error != std::errc::interrupted) {
            pause();  // no descriptors, no memory: the timer tries again
            return;
        }
    }
    if (waiting_.size() == max_waiting) {
        pause();
    }
}

void VsockGreeter::welcome(host::UniqueFd socket) noexcept {
    auto visitor = std::make_unique<Visitor>(*this, std::move(socket));
    if (!watch(reactor_, visitor->socket.get(), EPOLLIN, *visitor)) {
        return;
    }
    waiting_.push_back(std::move(visitor));
    keep_ticking();
}

void VsockGreeter::listen_to(Visitor& visitor) noexcept {
    switch (visitor.greeting.read(visitor.socket.get())) {
        case VsockGreeting::Status::unfinished:
            return;
        case VsockGreeting::Status::failed:
            forget(visitor);
            return;
        case VsockGreeting::Status::finished:
            break;
    }
    const std::uint32_t port = visitor.greeting.port();
    reactor_.remove(visitor.socket.get(), visitor);
    host::UniqueFd socket = std::move(visitor.socket);
    forget(visitor);
    sink_.on_connect_request(port, std::move(socket));
}

void VsockGreeter::forget(Visitor& visitor) noexcept {
    if (visitor.socket) {
        reactor_.remove(visitor.socket.get(), visitor);
    }
    std::erase_if(waiting_, [&](const auto& other) { return other.get() == &visitor; });
    resume();
}

void VsockGreeter::on_timer() noexcept {
    ticking_ = false;
    std::erase_if(waiting_, [this](const auto& visitor) {
        if (--visitor->ticks_left != 0) {
            return false;
        }
        reactor_.remove(visitor->socket.get(), *visitor);
        return true;
    });
    resume();
    if (!waiting_.empty()) {
        keep_ticking();
    }
}

void VsockGreeter::keep_ticking() noexcept {
    if (!ticking_) {
        ticking_ = true;
        timer_.start(tick_ms_);
    }
}

// The listener stays ready: looking away is the only way not to be told all the time.
void VsockGreeter::pause() noexcept {
    paused_ = true;
    reactor_.modify(listener_.fd(), 0, *this);
    keep_ticking();
}

void VsockGreeter::resume() noexcept {
    if (paused_ && waiting_.size() < max_waiting) {
        paused_ = false;
        reactor_.modify(listener_.fd(), EPOLLIN, *this);
    }
}

}  // namespace shoal::backend
