// Source: the side that has the guest and gives it away. One thread does it all and waits for the
// wire; what touches the microVM it has the event loop do.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "devices/host/event_fd.h"
#include "vmm/machine/microvm.h"
#include "vmm/machine/thread.h"
#include "vmm/migration/channel.h"
#include "vmm/migration/handover.h"
#include "vmm/migration/hello.h"
#include "vmm/migration/loop_calls.h"
#include "vmm/migration/pace.h"
#include "vmm/migration/packing.h"
#include "vmm/migration/page_content.h"
#include "vmm/migration/page_run.h"
#include "vmm/migration/page_server.h"
#include "vmm/migration/progress.h"
#include "vmm/migration/tls.h"
#include "vmm/state/compression.h"

namespace shoal::migration {

enum class AfterHandOver {
    exit,  // the process ends
    stay,  // it answers until somebody ends it
};

using state::Compression;

// A limit that is lower would make the destination wait for a run of pages until it gives up.
inline constexpr std::uint64_t least_bytes_per_s = 1 << 20;

struct SendOrder {
    Address to;
    std::chrono::microseconds max_downtime{};
    std::uint64_t max_bytes_per_s = 0;  // while the guest runs; 0: no limit
    // After so many the guest is stopped, whatever is left.
    std::uint32_t max_rounds = 0;
    // How much of the time a guest may be kept from running that writes faster than the wire. 0 to
    // 99.
    std::uint32_t max_throttle_percent = 0;
    std::shared_ptr<const Tls> tls;  // nullptr: plain
    // Those whose files the destination does not reach.
    std::vector<std::string> copied_drives;
    Compression compression = Compression::none;
    std::uint32_t connections = 1;  // at most max_connections
    AfterHandOver after_hand_over = AfterHandOver::exit;
    // After one round the guest runs there, and what it has written since follows it. `connections`
    // is 1 then.
    bool is_post_copy = false;
};

class Source {
public:
    // On the loop's thread, as all but the thread's own functions. The guest runs. Borrows the
    // microVM and the calls. Throws with one sentence when nobody listens there, or a drive cannot
    // be copied.
    Source(vmm::Microvm& microvm, const vmm::MicrovmConfig& config, const SendOrder& order,
           LoopCalls& calls);
    // After LoopCalls::abandon(), or once it is over.
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    [[nodiscard]] SourcePhase phase() const;
    [[nodiscard]] Progress progress() const;
    // False: it is too late, or over. The guest runs on, or will in a moment.
    [[nodiscard]] bool cancel();
    // In doubt: the control plane's word, told_to_resume or told_to_end. False: it is not in doubt.
    [[nodiscard]] bool resolve(SourceEvent event);

private:
    // What went wrong: what it is to the hand-over, and one sentence.
    struct Trouble {
        SourceEvent event;
        std::string sentence;
    };
    // Nothing: it is done. (clang 14 cannot destroy an expected of what has a destructor.)
    using Failure = std::optional<Trouble>;
    enum class Zeros { are_there, are_to_be_sent };
    struct Part {
        std::unique_ptr<PageContent> content;
        PageSet pages;  // still to be sent
    };
    // A connection that pages cross. Each has its stripe of every set of pages, so that a page
    // always crosses over the same one, and its newest version as the last.
    struct Lane {
        explicit Lane(Channel its) : channel{std::move(its)} {}
        Channel channel;
        std::optional<Packer> packer;
    };

    // On the thread.
    void main() noexcept;
    [[nodiscard]] Failure migrate();
    [[nodiscard]] Failure greet();
    [[nodiscard]] Failure copy();
    [[nodiscard]] Failure stop_guest();
    [[nodiscard]] Failure send_rest();
    [[nodiscard]] Failure name_missing_early();
    [[nodiscard]] Failure name_missing();
    [[nodiscard]] Failure send_rest_of_post_copy();
    [[nodiscard]] Failure commit();
    [[nodiscard]] Failure push_missing();
    [[nodiscard]] Failure connect(host::UniqueFd socket);
    [[nodiscard]] Failure connect_further();
    [[nodiscard]] Failure send_round(Zeros zeros);
    // On the thread of this lane.
    [[nodiscard]] Failure send_stripe(std::size_t lane, Zeros zeros) noexcept;
    [[nodiscard]] Failure send_pages(Part& part, std::size_t lane, Zeros zeros);
    [[nodiscard]] Failure send(std::size_t lane, const Frame& frame);
    [[nodiscard]] Failure sync_further();
    [[nodiscard]] Failure sync_drives();
    void take_written();
    [[nodiscard]] Failure send(const Frame& frame);
    [[nodiscard]] Failure wait_for_limit(Clock::duration wait);
    // How long the limit wants to wait.
    [[nodiscard]] Clock::duration note_run(const PageRun& run, std::uint64_t bytes,
                                           Clock::time_point since);
    [[nodiscard]] Failure expect(FrameKind kind);
    [[nodiscard]] Failure on_loop(std::function<void()> work);
    // The step, if nobody has cancelled before.
    [[nodiscard]] Failure enter(SourceEvent event);
    void fail(const Trouble& trouble) noexcept;
    void note_rest();
    void note_pace();
    [[nodiscard]] std::chrono::microseconds downtime_of_rest() const;
    [[nodiscard]] std::uint64_t pages_left() const;
    [[nodiscard]] Failure throttle(std::uint64_t pages_before);

    // On the loop's thread.
    [[nodiscard]] std::vector<Part> open_drives();
    void end_guest();

    vmm::Microvm& microvm_;
    const vmm::MicrovmConfig config_;
    const SendOrder order_;
    LoopCalls& calls_;
    const Clock::time_point started_ = Clock::now();
    host::EventFd interrupt_;
    host::UniqueFd socket_;  // on its way to being connected

    mutable std::mutex mutex_;  // of the next six; the paces only while lanes send
    SourcePhase phase_ = SourcePhase::greeting;
    Progress progress_;
    bool is_cancelled_ = false;
    Pace pace_;
    Pace drive_pace_;           // to the medium; its limit is that of pace_
    bool lane_failed_ = false;  // the others need not go on

    // The thread's own, once it runs.
    std::vector<std::unique_ptr<Lane>> lanes_;  // the first has all messages but pages
    FurtherConnections further_;
    std::optional<Clock::duration> shortest_sync_;  // of the drives
    std::vector<CopiedDrive> drives_;
    std::vector<Part> parts_;                // the drives, then the memory
    PageSet named_;                          // as missing
    std::unique_ptr<Lane> wants_;            // of a post-copy, until there is a page server
    std::optional<PageServer> page_server_;  // of parts_.back()
    Clock::time_point paused_at_;
    std::vector<std::byte> state_;

    vmm::Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::migration
