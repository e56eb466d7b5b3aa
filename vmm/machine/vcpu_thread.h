// VcpuThread: runs one vCPU, and stops, pauses and resumes it on request of other threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "devices/host/deadline_file.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine/bus.h"
#include "vmm/machine/ending.h"
#include "vmm/machine/thread.h"
#include "vmm/machine/vcpu_metrics.h"

namespace shoal::vmm {

// What a vCPU's accesses reach, and where it reports the end. Borrowed; outlives the threads.
struct VcpuSurroundings {
    Bus& ports;
    Bus& mmio;
    EndingSlot& ending;
    const host::DeadlineFile* fence = nullptr;  // null: none
    std::function<void()> on_thread{};          // see MachineConfig::on_vcpu_thread
};

class VcpuThread {
public:
    // Starts paused. Takes the vCPU over.
    VcpuThread(std::uint32_t idx, kvm::Vcpu vcpu, VcpuSurroundings surroundings);
    // Stops the vCPU and waits for the thread.
    ~VcpuThread();

    void resume() noexcept;
    // Returns when the guest's code does not run any more; the access it last made is complete.
    // Returns too when another thread calls resume() meanwhile. Not to be called on the thread
    // itself. Idempotent; a stopped vCPU counts as paused.
    void pause() noexcept;
    // While paused: see Vcpu.
    [[nodiscard]] kvm::CpuModel cpu_model() const { return vcpu_.cpu_model(); }
    void expect_model(const kvm::CpuModel& model) const { vcpu_.expect_model(model); }
    // While paused. Throws std::system_error for a broken KVM.
    [[nodiscard]] kvm::VcpuState save() const { return vcpu_.save(); }
    // Before the first resume(). Throws with one sentence.
    void restore(kvm::VcpuState state) { vcpu_.restore(std::move(state)); }
    // At any time.
    [[nodiscard]] const VcpuMetrics& metrics() const noexcept { return metrics_; }
    // Asks the thread to end; does not wait.
    void request_stop() noexcept;

private:
    enum class Wish { run, pause, stop };

    void main() noexcept;
    void run_until_wished_otherwise();
    void handle(const kvm::Exit& exit);
    void answer(const kvm::PortAccess& port) noexcept;
    void answer(const kvm::MmioAccess& access) noexcept;
    void wish(Wish wanted) noexcept;
    [[nodiscard]] Wish wait_for_wish() noexcept;
    void report(const kvm::InternalError& error);

    const std::uint32_t idx_;
    kvm::Vcpu vcpu_;
    VcpuSurroundings surroundings_;
    VcpuMetrics metrics_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Wish wish_ = Wish::pause;
    bool is_running_ = false;  // guest code may run
    bool is_over_ = false;     // the guest ended; nothing runs here again
    Thread thread_;            // last: joined before what it uses goes
};

// Once per process, before the first vCPU runs: makes the kick signal interrupt KVM_RUN and do
// nothing else.
void install_kick_signal();

}  // namespace shoal::vmm
