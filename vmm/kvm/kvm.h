// Kvm: /dev/kvm itself.
#pragma once

#include <linux/kvm.h>

#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::kvm {

class Kvm {
public:
    // Throws std::runtime_error with one sentence when there is no usable KVM at `path`.
    explicit Kvm(const std::string& path = "/dev/kvm");

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    // Size of the area that a vCPU's fd maps.
    [[nodiscard]] std::size_t run_size_bytes() const noexcept { return run_size_; }
    // What KVM and the host's CPU can do. Asked once: it costs a third of a millisecond.
    [[nodiscard]] const std::vector<kvm_cpuid_entry2>& supported_cpuid() const noexcept {
        return cpuid_;
    }
    [[nodiscard]] bool has(int capability) const noexcept;

private:
    host::UniqueFd fd_;
    std::size_t run_size_ = 0;
    std::vector<kvm_cpuid_entry2> cpuid_;
};

}  // namespace shoal::kvm
