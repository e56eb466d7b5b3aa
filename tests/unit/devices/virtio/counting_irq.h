// CountingIrq: an interrupt line for tests.
#pragma once

#include "devices/machine/irq_line.h"

namespace shoal::virtio {

class CountingIrq final : public machine::IrqLine {
public:
    void raise() noexcept override { ++count_; }
    // How often since the last call.
    int take() noexcept {
        const int count = count_;
        count_ = 0;
        return count;
    }

private:
    int count_ = 0;
};

}  // namespace shoal::virtio
