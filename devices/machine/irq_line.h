// IrqLine: a device's interrupt, as the device sees it.
#pragma once

namespace shoal::machine {

// An edge-triggered interrupt line. raise() never blocks and may be called from any thread.
// Implemented by a line of the I/O APIC in the machine and by a counter in unit tests.
class IrqLine {
public:
    virtual ~IrqLine() = default;
    virtual void raise() noexcept = 0;
};

}  // namespace shoal::machine
