// Microvm: what the API drives. The machine implements it; unit tests have a fake.
//
// All functions are called on the event loop's thread, one at a time. Each either does what it
// says, or throws an exception with one sentence and changes nothing. The API has checked before
// what can be checked without touching the host: ids are unique, memory sizes fit, the state is
// right. The sentence reaches the user behind the prefix of the resource ("Drive config error: ").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/host/unique_fd.h"
#include "devices/virtio/block.h"
#include "vmm/machine/config.h"
#include "vmm/machine/ending.h"
#include "vmm/machine/generation.h"
#include "vmm/machine/machine_state.h"
#include "vmm/machine/metric_groups.h"
#include "vmm/machine/page_log.h"
#include "vmm/machine/page_source.h"

namespace shoal::vmm {

enum class MicrovmState { not_started, running, paused };

struct BalloonStatistics {
    std::uint32_t target_pages = 0;
    std::uint32_t actual_pages = 0;
    std::uint32_t target_mib = 0;
    std::uint32_t actual_mib = 0;
    // What the guest tells about its memory; a statistic that it has not told is absent.
    std::optional<std::uint64_t> swap_in, swap_out, major_faults, minor_faults, free_memory,
        total_memory, available_memory, disk_caches, hugetlb_allocations, hugetlb_failures,
        oom_kill, alloc_stall, async_scan, direct_scan, async_reclaim, direct_reclaim;
};

struct HintingStart {
    bool acknowledge_on_stop = true;
};

struct HintingStatus {
    std::uint32_t host_cmd = 0;
    std::optional<std::uint32_t> guest_cmd;
};

// Where the memory of a microVM that is restored comes from: one of these.
struct MemorySource {
    host::UniqueFd file;                // a private copy of it, which nobody may change any more
    std::string handler_path;           // who serves its pages (fault_handler.h)
    std::unique_ptr<PageSource> pages;  // read as they are touched (page_filler.h)
    // Of `file` or `pages`: read before they are touched, those of `pages` in this order.
    std::vector<std::uint32_t> ahead;
};

class Microvm {
public:
    virtual ~Microvm() = default;

    [[nodiscard]] virtual MicrovmState state() const noexcept = 0;
    // Once, after the event loop has stopped: how the guest ended. Nothing runs any more.
    [[nodiscard]] virtual Ending finish() = 0;

    // Before start(): open at once what the configuration names (kernel and initrd, the drive's
    // file or socket, the TAP, the vsock's listener, the serial port's output), and keep it. The
    // same id, or a second call where there is no id, replaces what was opened before.
    virtual void set_boot_source(const BootSourceConfig& config) = 0;
    virtual void set_drive(const DriveConfig& config) = 0;
    virtual void set_network_interface(const NetworkInterfaceConfig& config) = 0;
    virtual void set_vsock(const VsockConfig& config) = 0;
    virtual void set_serial(const SerialConfig& config) = 0;

    // Builds the machine from `config` and what was opened, and lets it run. `config` holds every
    // resource that was set, and a boot source. May be tried again after it threw.
    virtual void start(const MicrovmConfig& config) = 0;

    // While paused: all that the microVM is besides its memory. `config` is that of start() with
    // the changes since. Connections of the vsock device end. Throws when a device has a state that
    // nobody can save.
    [[nodiscard]] virtual SavedMicrovm save(const MicrovmConfig& config) = 0;
    // After start().
    [[nodiscard]] virtual machine::GuestMemory& memory() = 0;
    // Instead of start(), and before anything but the serial port was set: opens what the
    // configuration in `saved` names, and builds the machine. It is paused. What threw is not to be
    // tried again: the microVM is of no use any more.
    virtual void restore(const SavedMicrovm& saved, MemorySource memory) = 0;
    // restore() in two steps, for a guest that comes over a wire: build() opens what `config` names
    // and builds the machine, with memory of zeros, paused; load() makes it the saved one, once its
    // memory has come. Before load() it must not be resumed. What threw is of no use any more.
    // Both refuse a guest whose CPU has what this host lacks; build() knows none when `cpu` is
    // empty.
    virtual void build(const MicrovmConfig& config, const kvm::CpuModel& cpu) = 0;
    virtual void load(const SavedMicrovm& saved) = 0;
    // The first resume() after load(), which also tells the networks where the guest is now.
    virtual void arrive() = 0;
    // After start(): what the guest believes its CPU to be. A guest that runs stands still for a
    // moment.
    [[nodiscard]] virtual kvm::CpuModel cpu_model() = 0;
    // After start(): see PageLog.
    [[nodiscard]] virtual std::unique_ptr<PageLog> log_pages() = 0;
    // After start(): what is on a drive that is a file, for who copies it. The drive exists.
    [[nodiscard]] virtual virtio::BlockContent drive_content(const std::string& drive_id) = 0;
    // While running: lets the guest run only a part of the time; see Machine. Paused: nothing.
    virtual void throttle(unsigned percent) = 0;
    // While paused: the guest runs in another process now. It is never resumed here, and what it
    // had written to its console is not written out here.
    virtual void forget_guest() noexcept = 0;
    // Ends the microVM and with it the process. The first ending counts.
    virtual void end(Ending ending) noexcept = 0;
    // After restore() from a snapshot, before the first resume(): tells the guest that it is a
    // copy, and which one. A guest that was moved is not told.
    virtual void renew_generation(const std::optional<CloneWords>& clone) = 0;
    // What the guest has waited for since restore(): of `pages`, see PageFiller; of `file`, all
    // that is mapped by now. Empty when another process serves its memory. Throws
    // std::system_error.
    [[nodiscard]] virtual std::vector<std::uint32_t> wanted_pages() const = 0;
    // Ends the microVM and with it the process, but lets the API's last answer go out.
    virtual void give_up() = 0;

    // After start(). Idempotent.
    virtual void pause() = 0;
    virtual void resume() = 0;

    // After start(), running or paused. The named drive, interface or balloon exists.
    virtual void update_drive(const DriveUpdate& update) = 0;
    virtual void update_network_interface(const NetworkInterfaceUpdate& update) = 0;
    virtual void set_balloon_target(std::uint32_t amount_mib) = 0;
    virtual void set_balloon_polling_interval(std::uint16_t seconds) = 0;  // not 0
    [[nodiscard]] virtual BalloonStatistics balloon_statistics() = 0;
    virtual void start_hinting(const HintingStart& start) = 0;
    virtual void stop_hinting() = 0;
    [[nodiscard]] virtual HintingStatus hinting_status() = 0;
    virtual void send_ctrl_alt_del() = 0;

    // Any state. Tells every device's counters, for the metrics.
    virtual void report_metrics(MetricGroups& groups) const = 0;
};

}  // namespace shoal::vmm
