// The destination's connection, its answers, and what becomes of a failure.
#include "vmm/migration/destination.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/log.h"

namespace shoal::migration {
namespace {

constexpr std::size_t stack_bytes = 512 << 10;
// Who connects and says no proper hello is hung up on; after so many it is no accident.
constexpr int max_strangers = 100;
// Until there may be a descriptor again for who connects.
constexpr std::chrono::milliseconds room_retry{500};

std::vector<std::byte> sentence_bytes(const std::string& sentence) {
    const auto bytes = std::as_bytes(std::span{sentence})
                           .first(std::min(sentence.size(), max_payload_bytes(FrameKind::refused)));
    return {bytes.begin(), bytes.end()};
}

}  // namespace

Destination::Destination(vmm::Microvm& microvm, const ReceiveOrder& order, LoopCalls& calls)
    : microvm_{microvm},
      order_{order},
      calls_{calls},
      listener_{listen_at(order.at)},
      address_{bound_address(order.at, listener_.get())},
      started_{Clock::now()},
      thread_{"migration", stack_bytes, [this] { main(); }} {}

Destination::~Destination() {
    {
        const std::scoped_lock lock{mutex_};
        is_stopped_ = true;
    }
    interrupt_.signal();
}

DestinationPhase Destination::phase() const {
    const std::scoped_lock lock{mutex_};
    return phase_;
}

Progress Destination::progress() const {
    const std::scoped_lock lock{mutex_};
    return progress_;
}

bool Destination::is_filling() const {
    const std::scoped_lock lock{mutex_};
    return is_filling_;
}

bool Destination::cancel() {
    const std::scoped_lock lock{mutex_};
    if (phase_ == DestinationPhase::running || phase_ == DestinationPhase::discarded) {
        return false;
    }
    is_cancelled_ = true;
    interrupt_.signal();
    return true;
}

void Destination::main() noexcept {
    Failure failure;
    try {
        failure = take_guest();
    } catch (const std::exception& error) {
        failure = Failure(Trouble{DestinationEvent::cannot, error.what()});
    }
    further_.reset();
    if (failure) {
        fail(*failure);
    }
    channel_.reset();
    listener_ = {};
    if (order_.at.kind == Address::Kind::unix_socket) {
        ::unlink(order_.at.host.c_str());
    }
}

Destination::Failure Destination::take_guest() {
    Frame hello;
    if (Failure waited = wait_for_hello(hello)) {
        return waited;
    }
    if (Failure built = build(hello)) {
        return built;
    }
    if (Failure joined = accept_further()) {
        return joined;
    }
    if (Failure received = receive_guest()) {
        return received;
    }
    return run_guest();
}

Destination::Failure Destination::wait_for_hello(Frame& hello) {
    for (int count = 0; count < max_strangers; ++count) {
        std::unique_ptr<Wire> wire;
        if (Failure accepted = accept_one(wire)) {
            return accepted;
        }
        started_ = Clock::now();
        if (wire) {
            channel_.emplace(std::move(wire));
            if (!channel_->receive(hello) && hello.kind == FrameKind::hello) {
                return {};
            }
            channel_.reset();
        }
    }
    return Failure(Trouble{
        DestinationEvent::cannot,
        "nobody who connected, " + std::to_string(max_strangers) + " times, began a migration"});
}

Destination::Failure Destination::accept_one(std::unique_ptr<Wire>& wire,
                                             std::optional<std::chrono::milliseconds> timeout) {
    while (true) {
        const auto ready =
            wait_until_ready(listener_.get(), POLLIN, interrupt_, timeout.value_or(patience));
        if (!ready && (timeout || ready.error() == WireError::interrupted)) {
            return Failure(
                Trouble{DestinationEvent::wire_lost, std::string{describe(ready.error())}});
        }
        host::UniqueFd socket{
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (socket) {
            try {
                wire = make_wire(order_.tls.get(), std::move(socket), interrupt_);
            } catch (const std::runtime_error& error) {
                host::log(host::LogLevel::warn, std::string{"migration: "} + error.what());
            }
            return {};
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            const std::string why =
                "cannot accept a connection: " + std::generic_category().message(errno);
            if (timeout) {
                return Failure(Trouble{DestinationEvent::cannot, why});
            }
            // Who knocks is still there, so that the listener is ready; nothing tells when there
            // is room again.
            host::log(host::LogLevel::warn, "migration: " + why);
            static_cast<void>(wait_until_ready(-1, 0, interrupt_, room_retry));
        }
    }
}

// The source connects at once.
Destination::Failure Destination::accept_further() {
    const JoinToken& token = hello_.further.token;
    further_.emplace([this](const Frame& frame) {
        count_bytes(frame);
        return store(frame);
    });
    std::uint32_t missing = hello_.further.count;
    const auto deadline = Clock::now() + patience;
    while (missing > 0) {
        std::unique_ptr<Wire> wire;
        const auto left = std::max(deadline - Clock::now(), Clock::duration{});
        if (Failure accepted =
                accept_one(wire, std::chrono::duration_cast<std::chrono::milliseconds>(left))) {
            return accepted;
        }
        Frame frame;
        if (wire) {
            Channel channel{std::move(wire)};
            if (!channel.receive(frame) && frame.kind == FrameKind::join &&
                std::ranges::equal(frame.payload, token)) {
                hello_.is_post_copy ? static_cast<void>(wants_.emplace(std::move(channel)))
                                    : further_->add(std::move(channel));
                --missing;
            }
        }
    }
    return {};
}

void Destination::count_bytes(const Frame& frame) {
    const std::scoped_lock lock{mutex_};
    progress_.bytes += frame.payload.size() + frame_head_bytes;
}

Destination::Failure Destination::receive(Frame& frame) {
    if (const auto why = channel_->receive(frame)) {
        return Failure(Trouble{DestinationEvent::wire_lost, *why});
    }
    count_bytes(frame);
    return {};
}

Destination::Failure Destination::answer(DestinationEvent event) {
    std::optional<Step<DestinationPhase>> step;
    {
        const std::scoped_lock lock{mutex_};
        step = next(phase_, event);
        SHOAL_CHECK(step && step->send);
        phase_ = step->phase;
    }
    if (const auto why = channel_->send({*step->send, {}})) {
        return Failure(Trouble{DestinationEvent::wire_lost, *why});
    }
    return {};
}

Destination::Failure Destination::on_loop(std::function<void()> work) {
    if (const auto why = calls_.run(std::move(work))) {
        return Failure(Trouble{DestinationEvent::cannot, *why});
    }
    return {};
}

// A cancel of this side's is told to the source, which may wait for a word after its commit.
void Destination::fail(const Trouble& trouble) noexcept {
    const std::string why = "migration: " + trouble.sentence;
    std::optional<Step<DestinationPhase>> step;
    {
        const std::scoped_lock lock{mutex_};
        step = next(phase_, is_cancelled_ ? DestinationEvent::cannot : trouble.event);
        if (!step) {
            return;  // the guest runs here, and the process ends
        }
        phase_ = step->phase;
        progress_.failure = trouble.sentence;
    }
    host::log(host::LogLevel::error, why);
    drives_ = {};
    if (step->send && channel_) {
        static_cast<void>(channel_->send({*step->send, sentence_bytes(trouble.sentence)}));
    }
    static_cast<void>(calls_.run([this, &why] {
        microvm_.end({static_cast<int>(vmm::ExitCode::discarded), why});
    }));
}

}  // namespace shoal::migration
