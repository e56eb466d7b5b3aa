// Both sides of a migration without machines, over a wire that can be cut behind any byte. Checks
// after each step that at most one side runs the guest.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "vmm/migration/frame.h"
#include "vmm/migration/handover.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration::testing {

// One direction. What was written before the cut arrives.
class Wire {
public:
    explicit Wire(std::size_t cut_after_bytes) : left_{cut_after_bytes} {}

    void write(std::span<const std::byte> bytes) {
        const auto kept = bytes.first(std::min(bytes.size(), left_));
        bytes_.insert(bytes_.end(), kept.begin(), kept.end());
        left_ -= kept.size();
        is_cut_ = is_cut_ || kept.size() < bytes.size();
    }
    std::vector<std::byte> take_at_most(std::size_t count) {
        const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(std::min(count, size()));
        std::vector<std::byte> piece{bytes_.begin(), end};
        bytes_.erase(bytes_.begin(), end);
        return piece;
    }
    void cut() noexcept { is_cut_ = true, left_ = 0; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool is_cut() const noexcept { return is_cut_; }

private:
    std::vector<std::byte> bytes_;
    std::size_t left_;
    bool is_cut_ = false;
};

struct Cuts {
    std::size_t to_destination = SIZE_MAX;
    std::size_t to_source = SIZE_MAX;
};

class FakeMigration {
public:
    FakeMigration(std::uint32_t seed, Cuts cuts)
        : random_{seed}, to_destination_{cuts.to_destination}, to_source_{cuts.to_source} {
        to_destination_.write(encode({FrameKind::hello, std::vector<std::byte>(8)}));
    }

    // Until nothing more happens. A side hears of a cut after all that came before it.
    void run() {
        while (step()) {
            CHECK(running_count() <= 1);
        }
    }
    // One piece for one side, chosen at random. False: nothing is left to happen.
    bool step() {
        const bool source_first = random_() % 2 == 0;
        return source_first ? step_source() || step_destination()
                            : step_destination() || step_source();
    }

    void cancel() { feed(SourceEvent::cancelled); }
    void cut() {
        to_destination_.cut();
        to_source_.cut();
    }
    // The process is gone, and its guest with it.
    void kill_source() {
        source_runs_ = false;
        source_is_alive_ = false;
        cut();
    }
    void kill_destination() {
        destination_runs_ = false;
        destination_is_alive_ = false;
        cut();
    }
    // The control plane asked the destination.
    void resolve_doubt() {
        feed(destination_runs_ ? SourceEvent::told_to_end : SourceEvent::told_to_resume);
    }
    void refuse_the_state() { loads_ = false; }

    [[nodiscard]] int running_count() const { return int{source_runs_} + int{destination_runs_}; }
    [[nodiscard]] bool source_runs() const { return source_runs_; }
    [[nodiscard]] bool destination_runs() const { return destination_runs_; }
    [[nodiscard]] SourcePhase source() const { return source_; }
    [[nodiscard]] DestinationPhase destination() const { return destination_; }

private:
    [[nodiscard]] bool is_cut() const { return to_source_.is_cut() || to_destination_.is_cut(); }

    bool step_source() {
        if (!source_is_alive_) {
            return false;
        }
        if (to_source_.size() > 0) {
            source_reader_.add(to_source_.take_at_most(1 + random_() % 64));
            for (Frame frame; source_reader_.take(frame).value() == Taken::frame;) {
                on_answer(frame.kind);
            }
            return true;
        }
        if (is_cut()) {
            return feed(SourceEvent::wire_lost);
        }
        return source_ == SourcePhase::copying && copy();
    }
    bool step_destination() {
        if (!destination_is_alive_) {
            return false;
        }
        if (to_destination_.size() > 0) {
            destination_reader_.add(to_destination_.take_at_most(1 + random_() % 64));
            for (Frame frame; destination_reader_.take(frame).value() == Taken::frame;) {
                on_message(frame.kind);
            }
            return true;
        }
        return is_cut() && feed(DestinationEvent::wire_lost);
    }

    bool copy() {
        if (rounds_left_ == 0) {
            return feed(SourceEvent::rest_is_small);
        }
        --rounds_left_;
        to_destination_.write(encode(frame_of({0, 1, {}})));
        return true;
    }
    void on_answer(FrameKind kind) {
        switch (kind) {
            case FrameKind::accept:
                return static_cast<void>(feed(SourceEvent::accepted));
            case FrameKind::ready:
                return static_cast<void>(feed(SourceEvent::ready));
            case FrameKind::taken:
                return static_cast<void>(feed(SourceEvent::taken));
            default:
                return static_cast<void>(feed(SourceEvent::refused));
        }
    }
    void on_message(FrameKind kind) {
        switch (kind) {
            case FrameKind::hello:
                return static_cast<void>(feed(DestinationEvent::hello));
            case FrameKind::state:
                return static_cast<void>(
                    feed(loads_ ? DestinationEvent::state : DestinationEvent::cannot));
            case FrameKind::commit:
                return static_cast<void>(feed(DestinationEvent::commit));
            default:
                return;
        }
    }

    bool feed(SourceEvent event) {
        const auto step = next(source_, event);
        if (!step) {
            return false;
        }
        source_ = step->phase;
        act(step->action, source_runs_);
        if (step->send) {
            to_destination_.write(encode({*step->send, {}}));
        }
        hang_up_at_the_end(source_ == SourcePhase::resumed || source_ == SourcePhase::handed_over);
        return true;
    }
    bool feed(DestinationEvent event) {
        const auto step = next(destination_, event);
        if (!step) {
            return false;
        }
        destination_ = step->phase;
        act(step->action, destination_runs_);
        if (step->send) {
            to_source_.write(encode({*step->send, {}}));
        }
        hang_up_at_the_end(destination_ == DestinationPhase::discarded);
        return true;
    }
    void hang_up_at_the_end(bool at_the_end) {
        if (at_the_end) {
            cut();
        }
    }
    static void act(GuestAction action, bool& runs) {
        if (action != GuestAction::none) {
            runs = action == GuestAction::resume;
        }
    }

    std::minstd_rand random_;
    Wire to_destination_;
    Wire to_source_;
    FrameReader source_reader_;
    FrameReader destination_reader_;
    SourcePhase source_ = SourcePhase::greeting;
    DestinationPhase destination_ = DestinationPhase::waiting;
    int rounds_left_ = 3;
    bool loads_ = true;
    bool source_is_alive_ = true;
    bool destination_is_alive_ = true;
    bool source_runs_ = true;
    bool destination_runs_ = false;
};

}  // namespace shoal::migration::testing
