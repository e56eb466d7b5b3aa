#include "vmm/migration/handover.h"

#include <doctest/doctest.h>

#include "tests/unit/vmm/migration/fake_migration.h"

namespace shoal::migration {
namespace {

using testing::Cuts;
using testing::FakeMigration;

// More bytes than either side ever sends here, so that some cuts come too late to matter.
constexpr std::size_t longest_stream_bytes = 200;
constexpr std::uint32_t last_seed = 200;
// Pieces until all is over, generously.
constexpr unsigned last_moment = 40;

// Whatever was cut: one side runs, or the source knows that it cannot know.
void check_the_end(FakeMigration& migration) {
    if (migration.source() == SourcePhase::in_doubt) {
        CHECK_FALSE(migration.source_runs());
        migration.resolve_doubt();
    }
    CHECK(migration.running_count() == 1);
}

TEST_CASE("a guest that was handed over runs at the destination only") {
    FakeMigration migration{1, {}};
    migration.run();
    CHECK(migration.source() == SourcePhase::handed_over);
    CHECK(migration.destination() == DestinationPhase::running);
    CHECK(migration.destination_runs());
    CHECK_FALSE(migration.source_runs());
}

TEST_CASE("a wire that is cut behind any byte to the destination leaves one guest running") {
    for (std::size_t at = 0; at < longest_stream_bytes; ++at) {
        CAPTURE(at);
        FakeMigration migration{static_cast<std::uint32_t>(at + 1), Cuts{.to_destination = at}};
        migration.run();
        check_the_end(migration);
    }
}

TEST_CASE("a wire that is cut behind any byte to the source leaves one guest running") {
    for (std::size_t at = 0; at < longest_stream_bytes; ++at) {
        CAPTURE(at);
        FakeMigration migration{static_cast<std::uint32_t>(at + 1), Cuts{.to_source = at}};
        migration.run();
        check_the_end(migration);
    }
}

TEST_CASE("a wire that is cut or a side that dies at any moment leaves at most one guest") {
    int doubts = 0;
    for (std::uint32_t seed = 1; seed <= last_seed; ++seed) {
        CAPTURE(seed);
        FakeMigration migration{seed, {}};
        for (unsigned moment = seed % last_moment; moment > 0; --moment) {
            static_cast<void>(migration.step());
            CHECK(migration.running_count() <= 1);
        }
        const bool source_ran = migration.source_runs();
        const auto disaster = seed / last_moment % 3;
        if (disaster == 0) {
            migration.cut();
        } else if (disaster == 1) {
            migration.kill_source();
        } else {
            migration.kill_destination();
        }
        migration.run();
        doubts += migration.source() == SourcePhase::in_doubt ? 1 : 0;
        if (disaster == 0) {
            check_the_end(migration);
        }
        // The death of the destination costs a guest that still ran here nothing.
        if (disaster == 2 && source_ran) {
            CHECK(migration.source_runs());
        }
    }
    CHECK(doubts > 0);  // or the window after the commit was never hit
}

TEST_CASE("a cancel at any moment resumes the source, or comes too late and changes nothing") {
    for (std::uint32_t seed = 1; seed <= last_seed; ++seed) {
        CAPTURE(seed);
        FakeMigration migration{seed, {}};
        for (unsigned moment = seed % last_moment; moment > 0; --moment) {
            static_cast<void>(migration.step());
        }
        const SourcePhase before = migration.source();
        migration.cancel();
        migration.run();
        const bool too_late =
            before == SourcePhase::committed || before == SourcePhase::handed_over;
        CHECK(migration.source() == (too_late ? SourcePhase::handed_over : SourcePhase::resumed));
        CHECK(migration.source_runs() != too_late);
        CHECK(migration.destination_runs() == too_late);
    }
}

TEST_CASE("a state that does not load at the destination resumes the source") {
    FakeMigration migration{1, {}};
    migration.refuse_the_state();
    migration.run();
    CHECK(migration.source() == SourcePhase::resumed);
    CHECK(migration.source_runs());
    CHECK(migration.destination() == DestinationPhase::discarded);
}

TEST_CASE("a destination that says after the commit that it cannot run gives the guest back") {
    const auto refused = next(DestinationPhase::ready, DestinationEvent::cannot);
    REQUIRE(refused);
    CHECK(refused->phase == DestinationPhase::discarded);
    CHECK(refused->send == FrameKind::refused);
    const auto resumed = next(SourcePhase::committed, SourceEvent::refused);
    REQUIRE(resumed);
    CHECK(resumed->phase == SourcePhase::resumed);
    CHECK(resumed->action == GuestAction::resume);
}

TEST_CASE("a guest that runs on pages that are still at its source never runs there again") {
    const auto serving = next(SourcePhase::committed, SourceEvent::taken_in_part);
    REQUIRE(serving);
    CHECK(serving->phase == SourcePhase::serving);
    CHECK(serving->action == GuestAction::none);
    for (const SourceEvent event :
         {SourceEvent::filled, SourceEvent::wire_lost, SourceEvent::refused}) {
        const auto over = next(SourcePhase::serving, event);
        REQUIRE(over);
        CHECK(over->phase == SourcePhase::handed_over);
        CHECK(over->action == GuestAction::end);
    }
    for (const SourceEvent event : {SourceEvent::cancelled, SourceEvent::told_to_resume,
                                    SourceEvent::told_to_end, SourceEvent::ready}) {
        CHECK_FALSE(next(SourcePhase::serving, event));
    }
    CHECK_FALSE(next(SourcePhase::stopped, SourceEvent::taken_in_part));
    CHECK_FALSE(next(SourcePhase::committed, SourceEvent::filled));
}

TEST_CASE("a commit before the state, and a second one, mean nothing") {
    CHECK_FALSE(next(DestinationPhase::waiting, DestinationEvent::commit));
    CHECK_FALSE(next(DestinationPhase::receiving, DestinationEvent::commit));
    CHECK_FALSE(next(DestinationPhase::running, DestinationEvent::commit));
    CHECK_FALSE(next(DestinationPhase::discarded, DestinationEvent::commit));
}

TEST_CASE("only a source in doubt can be told what to do with its guest") {
    for (const SourcePhase phase :
         {SourcePhase::greeting, SourcePhase::copying, SourcePhase::stopped, SourcePhase::committed,
          SourcePhase::resumed, SourcePhase::handed_over}) {
        CHECK_FALSE(next(phase, SourceEvent::told_to_resume));
        CHECK_FALSE(next(phase, SourceEvent::told_to_end));
    }
}

}  // namespace
}  // namespace shoal::migration
