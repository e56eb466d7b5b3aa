// DiskEngine: an open disk image and a way to move its bytes.
//
// Not thread-safe: the owner holds its lock in every call.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "devices/backend/disk.h"
#include "devices/backend/disk_request.h"

namespace shoal::backend {

class DiskEngine {
public:
    static constexpr std::uint32_t max_in_flight = 256;

    virtual ~DiskEngine() = default;  // nothing is in flight

    [[nodiscard]] const Disk& disk() const noexcept { return disk_; }
    // What it really is, whatever the configuration asked for.
    [[nodiscard]] virtual DiskIo io() const noexcept = 0;

    // Begins a request; at most max_in_flight are not taken back. It belongs to the engine until
    // take_finished() gives it back, in any order.
    virtual void start(DiskRequest& request) noexcept = 0;
    // Hands what was started to the host, all at once. False: the host had no room; call again.
    [[nodiscard]] virtual bool submit() noexcept = 0;
    // A finished request, if there is one. What takes another call is started again.
    [[nodiscard]] DiskRequest* take_finished() noexcept;
    // Waits until all that was started is finished.
    virtual void wait() noexcept = 0;
    // Readable when requests finished after submit().
    [[nodiscard]] virtual int fd() const noexcept = 0;

protected:
    explicit DiskEngine(Disk&& disk) noexcept : disk_{std::move(disk)} {}

    void add_finished(DiskRequest& request) noexcept { finished_.push(request); }
    // Adds those that finished since submit().
    virtual void collect() noexcept = 0;

private:
    Disk disk_;
    DiskRequestList finished_;
};

// Opens the image that `config` names. Throws as Disk does.
[[nodiscard]] std::unique_ptr<DiskEngine> open_disk(const DiskConfig& config);

}  // namespace shoal::backend
