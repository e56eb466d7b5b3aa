// VcpuMetrics: the exits of a vCPU that its devices answered. Firecracker's names.
#pragma once

#include "devices/host/latency.h"
#include "devices/host/metrics.h"

namespace shoal::vmm {

// Written by the vCPU's thread, read by any. How long the VMM took, not the exit itself; string
// instructions count once.
struct VcpuMetrics {
    host::SharedLatency exit_io_in;
    host::SharedLatency exit_io_out;
    host::SharedLatency exit_mmio_read;
    host::SharedLatency exit_mmio_write;
};

// Of all vCPUs together.
class VcpuTotals {
public:
    void add(const VcpuMetrics& vcpu) noexcept {
        io_in_.add(vcpu.exit_io_in);
        io_out_.add(vcpu.exit_io_out);
        mmio_read_.add(vcpu.exit_mmio_read);
        mmio_write_.add(vcpu.exit_mmio_write);
    }
    void report(host::MetricSink& sink) const {
        sink.counter("exit_io_in", io_in_.count);
        sink.counter("exit_io_out", io_out_.count);
        sink.counter("exit_mmio_read", mmio_read_.count);
        sink.counter("exit_mmio_write", mmio_write_.count);
        sink.latency("exit_io_in_agg", io_in_.latency);
        sink.latency("exit_io_out_agg", io_out_.latency);
        sink.latency("exit_mmio_read_agg", mmio_read_.latency);
        sink.latency("exit_mmio_write_agg", mmio_write_.latency);
    }

private:
    struct Total {
        void add(const host::SharedLatency& exits) noexcept {
            count += exits.count();
            latency.merge(exits.latency());
        }
        std::uint64_t count = 0;
        host::Latency latency;
    };

    Total io_in_;
    Total io_out_;
    Total mmio_read_;
    Total mmio_write_;
};

}  // namespace shoal::vmm
