// The source's way through the hand-over.
#include "vmm/migration/source.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/clock.h"
#include "devices/host/log.h"
#include "devices/host/random.h"
#include "vmm/migration/hello.h"
#include "vmm/state/microvm_file.h"

namespace shoal::migration {
namespace {

constexpr std::size_t stack_bytes = 512 << 10;

bool may_be_cancelled(SourcePhase phase) {
    return phase == SourcePhase::greeting || phase == SourcePhase::copying ||
           phase == SourcePhase::stopped;
}

// Whether the thread has nothing left to do.
bool is_over(SourcePhase phase) {
    return phase == SourcePhase::resumed || phase == SourcePhase::handed_over ||
           phase == SourcePhase::in_doubt;
}

}  // namespace

Source::Source(vmm::Microvm& microvm, const vmm::MicrovmConfig& config, const SendOrder& order,
               LoopCalls& calls)
    : microvm_{microvm},
      config_{config},
      order_{order},
      calls_{calls},
      socket_{start_connecting(order.to)},
      pace_{order.max_bytes_per_s, started_},
      drive_pace_{0, started_},
      parts_{open_drives()},
      thread_{"migration", stack_bytes, [this] { main(); }} {}

Source::~Source() {
    interrupt_.signal();
}

SourcePhase Source::phase() const {
    const std::scoped_lock lock{mutex_};
    return phase_;
}

Progress Source::progress() const {
    const std::scoped_lock lock{mutex_};
    Progress progress = progress_;
    if (!is_over(phase_)) {
        progress.total_us = us_since(started_);
    }
    return progress;
}

bool Source::cancel() {
    const std::scoped_lock lock{mutex_};
    if (!may_be_cancelled(phase_)) {
        return false;
    }
    is_cancelled_ = true;
    interrupt_.signal();
    return true;
}

bool Source::resolve(SourceEvent event) {
    const std::scoped_lock lock{mutex_};
    const auto step = next(phase_, event);
    if (phase_ != SourcePhase::in_doubt || !step) {
        return false;
    }
    phase_ = step->phase;
    step->action == GuestAction::resume ? microvm_.resume() : end_guest();
    return true;
}

void Source::main() noexcept {
    Failure failure;
    try {
        failure = migrate();
    } catch (const std::exception& error) {
        failure = Failure(Trouble{SourceEvent::wire_lost, error.what()});
    }
    page_server_.reset();
    parts_.clear();
    if (failure) {
        fail(*failure);
    }
    lanes_.clear();
}

Source::Failure Source::migrate() {
    for (const auto part : {&Source::greet, &Source::copy, &Source::stop_guest, &Source::send_rest,
                            &Source::commit}) {
        if (Failure failure = (this->*part)()) {
            return failure;
        }
    }
    return {};
}

Source::Failure Source::greet() {
    if (Failure connected = connect(std::move(socket_))) {
        return connected;
    }
    if (order_.connections > 1 || order_.is_post_copy) {
        further_ = {std::max(order_.connections - 1, 1U), host::random_value<JoinToken>()};
    }
    Hello hello{config_, drives_, further_, order_.is_post_copy};
    if (Failure asked = on_loop([&] { hello.cpu = microvm_.cpu_model(); })) {
        return asked;
    }
    if (Failure sent = send({FrameKind::hello, encode_hello(hello)})) {
        return sent;
    }
    if (Failure accepted = expect(FrameKind::accept)) {
        return accepted;
    }
    return connect_further();
}

Source::Failure Source::stop_guest() {
    if (Failure entered = enter(SourceEvent::rest_is_small)) {
        return entered;
    }
    return on_loop([this] {
        paused_at_ = Clock::now();
        microvm_.pause();
        state::Snapshot snapshot{{}, microvm_.save(config_)};
        vmm::MachineState& machine = snapshot.microvm.machine;
        if (machine.clock.realtime_ns == 0) {
            machine.clock.realtime_ns = host::realtime_ns();
        }
        state_ = state::encode(snapshot);
    });
}

// After save(), which itself may write to the guest's memory.
Source::Failure Source::send_rest() {
    take_written();
    if (Failure sent =
            order_.is_post_copy ? send_rest_of_post_copy() : send_round(Zeros::are_to_be_sent)) {
        return sent;
    }
    if (Failure synced = sync_further()) {
        return synced;
    }
    if (Failure sent = send({FrameKind::state, std::move(state_)})) {
        return sent;
    }
    return expect(FrameKind::ready);
}

// `ready` made it committed, so a commit that cannot be written counts as one that arrived.
Source::Failure Source::commit() {
    if (Failure sent = send({FrameKind::commit, {}})) {
        return sent;
    }
    if (Failure taken = expect(FrameKind::taken)) {
        return taken;
    }
    {
        const std::scoped_lock lock{mutex_};
        progress_.downtime_us = us_since(paused_at_);
        progress_.total_us = us_since(started_);
    }
    if (order_.is_post_copy) {
        if (Failure pushed = push_missing()) {
            return pushed;
        }
    }
    return on_loop([this] { end_guest(); });
}

Source::Failure Source::expect(FrameKind kind) {
    Frame frame;
    if (const auto why = lanes_.front()->channel.receive(frame)) {
        return Failure(Trouble{SourceEvent::wire_lost, *why});
    }
    if (frame.kind == FrameKind::refused) {
        // SAFETY: bytes as characters.
        const std::string_view why{reinterpret_cast<const char*>(frame.payload.data()),
                                   frame.payload.size()};
        return Failure(
            Trouble{SourceEvent::refused, "the destination refused: " + std::string{why}});
    }
    if (frame.kind != kind) {
        return Failure(
            Trouble{SourceEvent::wire_lost, "the destination sent a message out of turn"});
    }
    switch (kind) {
        case FrameKind::accept:
            return enter(SourceEvent::accepted);
        case FrameKind::ready:
            return enter(SourceEvent::ready);
        case FrameKind::taken:
            return enter(order_.is_post_copy ? SourceEvent::taken_in_part : SourceEvent::taken);
        default:
            return {};
    }
}

Source::Failure Source::on_loop(std::function<void()> work) {
    if (const auto why = calls_.run(std::move(work))) {
        return Failure(Trouble{SourceEvent::wire_lost, *why});
    }
    return {};
}

Source::Failure Source::enter(SourceEvent event) {
    const std::scoped_lock lock{mutex_};
    if (is_cancelled_) {
        return Failure(Trouble{SourceEvent::cancelled, "it was cancelled"});
    }
    const auto step = next(phase_, event);
    SHOAL_CHECK(step);
    phase_ = step->phase;
    return {};
}

// The destination's own troubles, and those after a cancel, are known by their event; all others
// are a lost wire to the hand-over.
void Source::fail(const Trouble& trouble) noexcept {
    std::optional<Step<SourcePhase>> step;
    std::string sentence = trouble.sentence;
    {
        const std::scoped_lock lock{mutex_};
        step = next(phase_, is_cancelled_ ? SourceEvent::cancelled : trouble.event);
        if (!step) {
            return;  // it was handed over, and the process ends
        }
        if (is_cancelled_) {
            sentence = "it was cancelled";
        }
    }
    host::log(host::LogLevel::error, "migration: " + trouble.sentence);
    // Before anybody can see that it is over: who then sends the guest again waits, on the loop,
    // for this thread.
    if (step->action == GuestAction::resume) {
        static_cast<void>(calls_.run([this] { microvm_.resume(); }));
    } else if (step->action == GuestAction::end) {
        static_cast<void>(calls_.run([this] { end_guest(); }));
    } else if (progress().throttle_percent > 0) {
        static_cast<void>(calls_.run([this] { microvm_.throttle(0); }));
    }
    const std::scoped_lock lock{mutex_};
    phase_ = step->phase;
    progress_.failure = sentence;
    progress_.total_us = us_since(started_);
}

void Source::end_guest() {
    microvm_.forget_guest();
    if (order_.after_hand_over == AfterHandOver::exit) {
        microvm_.end({static_cast<int>(vmm::ExitCode::handed_over),
                      "the guest runs at " + to_text(order_.to) + " now"});
    }
}

}  // namespace shoal::migration
