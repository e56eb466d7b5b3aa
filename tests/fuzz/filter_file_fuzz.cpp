// Fuzzes the file of --seccomp-filter: it is refused with one sentence, or has a filter for each
// role that is no longer than the kernel takes.
#include <linux/bpf_common.h>

#include <cstdlib>
#include <stdexcept>

#include "vmm/jail/filter_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal;
    try {
        const jail::FilterFile file{std::as_bytes(std::span{data, size})};
        for (const auto role : {jail::Role::vcpu, jail::Role::direct, jail::Role::service}) {
            if (file.filter_of(role).size() > BPF_MAXINSNS) {
                std::abort();
            }
        }
    } catch (const std::runtime_error&) {
    }
    return 0;
}
