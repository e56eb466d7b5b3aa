// Opening /dev/kvm and asking what it can do.
#include "vmm/kvm/kvm.h"

#include <fcntl.h>

#include <stdexcept>

#include "vmm/kvm/cpuid_table.h"
#include "vmm/kvm/ioctl.h"

namespace shoal::kvm {
namespace {

constexpr int api_version = 12;  // the only one, since Linux 2.6.22
constexpr std::uint32_t max_cpuid_entries = 256;

host::UniqueFd open_device(const std::string& path) {
    host::UniqueFd fd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    if (fd) {
        return fd;
    }
    switch (errno) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
            throw std::runtime_error(path + " is missing: this host offers no KVM");
        case EACCES:
        case EPERM:
            throw std::runtime_error("no permission to open " + path +
                                     ": run as a member of its group or as root");
        default:
            host::throw_os_error("cannot open " + path);
    }
}

std::vector<kvm_cpuid_entry2> read_cpuid(int fd) {
    CpuidTable table{max_cpuid_entries};
    call<get_supported_cpuid>(fd, "KVM_GET_SUPPORTED_CPUID", table.head());
    const auto entries = table.entries();
    return {entries.begin(), entries.end()};
}

}  // namespace

Kvm::Kvm(const std::string& path) : fd_{open_device(path)} {
    const int version = SHOAL_KVM_CALL(fd_.get(), KVM_GET_API_VERSION);
    if (version != api_version) {
        throw std::runtime_error(path + " speaks KVM API version " + std::to_string(version) +
                                 ", not " + std::to_string(api_version));
    }
    run_size_ = static_cast<std::size_t>(SHOAL_KVM_CALL(fd_.get(), KVM_GET_VCPU_MMAP_SIZE));
    cpuid_ = read_cpuid(fd_.get());
}

bool Kvm::has(int capability) const noexcept {
    return ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, capability) > 0;
}

}  // namespace shoal::kvm
