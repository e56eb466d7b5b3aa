// Userfaultfd: who touches a page of the guest's memory that is not there waits until somebody puts
// it there (Documentation/admin-guide/mm/userfaultfd.rst).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/ending.h"
#include "vmm/machine/page_source.h"

namespace shoal::vmm {

class Userfaultfd {
public:
    // Registers all of the memory, for KVM's and the kernel's own accesses, too: that takes the
    // right to open /dev/userfaultfd, CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd. The memory
    // outlives this. Throws std::system_error.
    explicit Userfaultfd(const machine::GuestMemory& memory);

    // Readable when somebody waits. Non-blocking.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    // The offset in the memory file of a page that somebody waits for. Nothing: nobody does.
    [[nodiscard]] std::optional<std::uint64_t> next_fault() const;
    // A page that is there already, or whose place has become another mapping, is left as it is.
    // Pages of zeros take no memory. Whoever waited goes on. Throws std::system_error.
    void put(Pages pages) const;

private:
    void put_run(Pages run, bool is_zeros) const;

    const machine::GuestMemory& memory_;
    host::UniqueFd fd_;
};

// Some of the guest's memory is lost, and whoever waits for it, a vCPU or the event loop, would
// wait for ever: ends the process at once, with the sentence.
[[noreturn]] void end_without_memory(const std::string& sentence,
                                     ExitCode code = ExitCode::failure) noexcept;

}  // namespace shoal::vmm
