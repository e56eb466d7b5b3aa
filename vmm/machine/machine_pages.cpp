// The pages that a machine writes to: KVM's dirty log for its vCPUs, the memory's write log for its
// devices.
#include "vmm/kvm/dirty_log.h"
#include "vmm/machine/machine.h"

namespace shoal::vmm {
namespace {

class MachinePageLog final : public PageLog {
public:
    MachinePageLog(kvm::Vm& vm, const machine::GuestMemory& memory)
        : memory_{memory}, vcpus_{vm, memory} {
        memory_.write_log().start();
    }
    MachinePageLog(const MachinePageLog&) = delete;
    MachinePageLog& operator=(const MachinePageLog&) = delete;
    ~MachinePageLog() override { memory_.write_log().stop(); }

    void take(std::span<std::uint64_t> bitmap) override {
        vcpus_.take(bitmap);
        memory_.write_log().take(bitmap);
    }

private:
    const machine::GuestMemory& memory_;
    kvm::DirtyLog vcpus_;
};

}  // namespace

// For a moment nothing writes: the write log cannot start while devices run.
std::unique_ptr<PageLog> Machine::log_pages() {
    const bool was_running = is_running_;
    pause();
    auto log = std::make_unique<MachinePageLog>(vm_, memory_);
    if (was_running) {
        resume();
    }
    return log;
}

}  // namespace shoal::vmm
