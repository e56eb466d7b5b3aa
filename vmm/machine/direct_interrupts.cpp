// Keeping KVM's routes in step with the I/O APIC.
#include "vmm/machine/direct_interrupts.h"

#include "devices/host/log.h"

namespace shoal::vmm {

DirectInterrupts::DirectInterrupts(legacy::IoApic& ioapic, kvm::Vm& vm) : ioapic_{ioapic}, vm_{vm} {
    ioapic_.on_reroute([this] { follow(); });
}

DirectInterrupts::~DirectInterrupts() {
    ioapic_.on_reroute([] {});
}

void DirectInterrupts::add(const host::EventFd& event, std::uint32_t pin) {
    pins_.push_back(pin);
    routes_.reserve(pins_.size());
    wanted_.reserve(pins_.size());
    follow();
    vm_.add_irqfd(event, pin);
}

// The I/O APIC is read under the mutex: of two vCPUs that change it, each sees at least its own
// change, and the last to come here sees both.
void DirectInterrupts::follow() noexcept {
    if (pins_.empty()) {
        return;
    }
    const std::scoped_lock lock{mutex_};
    wanted_.clear();
    for (const std::uint32_t pin : pins_) {
        if (const auto message = ioapic_.message(pin)) {
            wanted_.push_back({pin, message->address, message->data});
        }
    }
    if (wanted_ == routes_) {
        return;
    }
    if (!vm_.set_routes(wanted_)) {
        SHOAL_GUEST_LOG(host::LogLevel::error, "the host has no memory for interrupt routes");
        return;
    }
    routes_.swap(wanted_);
}

}  // namespace shoal::vmm
