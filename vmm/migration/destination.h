// Destination: the side that waits for a guest and takes it. One thread waits for the wire and
// fills the memory; what touches the microVM it has the event loop do.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "devices/host/event_fd.h"
#include "vmm/machine/microvm.h"
#include "vmm/machine/thread.h"
#include "vmm/migration/channel.h"
#include "vmm/migration/handover.h"
#include "vmm/migration/loop_calls.h"
#include "vmm/migration/missing_pages.h"
#include "vmm/migration/pace.h"
#include "vmm/migration/page_store.h"
#include "vmm/migration/progress.h"
#include "vmm/migration/received_drives.h"
#include "vmm/migration/receiving_lanes.h"
#include "vmm/migration/tls.h"

namespace shoal::migration {

struct ReceiveOrder {
    Address at;
    // On the loop's thread: what is different here (paths, names), before the machine is built.
    // What it throws is told to the source.
    std::function<void(vmm::MicrovmConfig&)> adapt;
    // On the loop's thread, when the guest is about to run here.
    std::function<void(const vmm::MicrovmConfig&)> on_running;
    std::shared_ptr<const Tls> tls;  // nullptr: plain
};

class Destination {
public:
    // On the loop's thread, as all but the thread's own functions. Nothing was set for the microVM
    // but its serial port. Borrows both. Throws with one sentence when it cannot listen. When it
    // cannot take the guest, the microVM is ended, and with it the process.
    Destination(vmm::Microvm& microvm, const ReceiveOrder& order, LoopCalls& calls);
    // After LoopCalls::abandon(), or once it is over.
    ~Destination();
    Destination(const Destination&) = delete;
    Destination& operator=(const Destination&) = delete;

    // Where it listens: with the port that the host chose.
    [[nodiscard]] const Address& address() const noexcept { return address_; }
    [[nodiscard]] DestinationPhase phase() const;
    [[nodiscard]] Progress progress() const;
    // False: the guest runs here already, or never will.
    [[nodiscard]] bool cancel();
    // Whether the guest runs here, but not all of its memory is here yet (post-copy).
    [[nodiscard]] bool is_filling() const;

private:
    struct Trouble {
        DestinationEvent event;
        std::string sentence;
    };
    // Nothing: it is done. (clang 14 cannot destroy an expected of what has a destructor.)
    using Failure = std::optional<Trouble>;

    // On the thread.
    void main() noexcept;
    [[nodiscard]] Failure take_guest();
    [[nodiscard]] Failure wait_for_hello(Frame& hello);
    // Within the time, if there is one. nullptr: it was a stranger.
    [[nodiscard]] Failure accept_one(std::unique_ptr<Wire>& wire,
                                     std::optional<std::chrono::milliseconds> timeout = {});
    [[nodiscard]] Failure accept_further();
    [[nodiscard]] Failure build(const Frame& hello);
    [[nodiscard]] Failure receive_guest();
    // On any thread.
    [[nodiscard]] std::optional<std::string> store(const Frame& frame);
    [[nodiscard]] std::optional<std::string> store_run(const Frame& frame);
    [[nodiscard]] Failure sync_drives();
    [[nodiscard]] Failure load(const Frame& frame);
    [[nodiscard]] Failure run_guest();
    void expect_missing();
    [[nodiscard]] std::uint64_t remaining_pages() const noexcept;
    void fill_memory();
    // What went wrong.
    [[nodiscard]] std::optional<std::string> receive_missing() noexcept;
    void lose_memory(const std::string& why) noexcept;
    [[nodiscard]] Failure receive(Frame& frame);
    [[nodiscard]] Failure wait_for_further();
    void count_bytes(const Frame& frame);
    // Enters the phase, then sends.
    [[nodiscard]] Failure answer(DestinationEvent event);
    [[nodiscard]] Failure on_loop(std::function<void()> work);
    void fail(const Trouble& trouble) noexcept;

    vmm::Microvm& microvm_;
    const ReceiveOrder order_;
    LoopCalls& calls_;
    host::EventFd interrupt_;
    host::UniqueFd listener_;
    Address address_;

    mutable std::mutex mutex_;  // of the next five
    DestinationPhase phase_ = DestinationPhase::waiting;
    Progress progress_;
    bool is_cancelled_ = false;
    bool is_filling_ = false;
    bool is_stopped_ = false;  // this process ends, for reasons of its own

    // The thread's own.
    Clock::time_point started_;
    std::optional<Channel> channel_;
    std::vector<std::byte> hello_bytes_;
    Hello hello_;  // the configuration as it is here
    ReceivedDrives drives_;
    PageCounts page_counts_;
    std::optional<PageStore> store_;
    std::optional<ReceivingLanes> further_;
    // Of a post-copy: what is not here, as the source said, and what brings it.
    PageSet missing_;
    std::optional<Channel> wants_;
    std::optional<MissingPages> filling_;

    vmm::Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::migration
