// FaultHandler: another process that serves the pages of the guest's memory as they are touched,
// through userfaultfd, with Firecracker's handshake.
#pragma once

#include <string>

#include "devices/host/event_fd.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/thread.h"
#include "vmm/machine/userfaultfd.h"

namespace shoal::vmm {

class FaultHandler {
public:
    // Connects to the unix socket at `path` and sends one message: the descriptor of a userfaultfd
    // that all of the memory is registered with, and a JSON array of what lies where (handshake()).
    // The memory is private zeros that nobody has touched. Throws with one sentence.
    //
    // Pages that the guest's balloon gives back read as zeros from then on. Others (Firecracker)
    // discard them in the registered memory, and the handler has to know of UFFD_EVENT_REMOVE and
    // put zeros there at the next fault; here another mapping takes their place, which the
    // userfaultfd knows nothing of: neither an event nor a fault comes of it. A handler that
    // serves both monitors needs nothing more for this one.
    //
    // The handler keeps the connection open for as long as it serves. When it ends, so does this
    // process, at once and with a sentence: whoever waits for a page waits for ever, be it a vCPU
    // or the event loop.
    FaultHandler(const machine::GuestMemory& memory, const std::string& path);
    ~FaultHandler();
    FaultHandler(const FaultHandler&) = delete;
    FaultHandler& operator=(const FaultHandler&) = delete;

    [[nodiscard]] static std::string handshake(const machine::GuestMemory& memory);

private:
    void watch() const noexcept;

    const std::string path_;
    const Userfaultfd faults_;
    host::UniqueFd socket_;
    host::EventFd stop_;
    Thread thread_;  // last: joined before what it uses goes
};

}  // namespace shoal::vmm
