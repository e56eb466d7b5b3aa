#include "vmm/machine/event_loop.h"

#include <doctest/doctest.h>

#include <chrono>

namespace shoal::vmm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Counter final : host::EventHandler {
    explicit Counter(EventLoop& owner) : loop{owner} {}
    void on_events(std::uint32_t) noexcept override {
        event.drain();
        ++calls;
        loop.stop();
    }
    EventLoop& loop;
    host::EventFd event;
    unsigned calls = 0;
};

}  // namespace

TEST_CASE("the loop dispatches the devices' reactor") {
    EventLoop loop;
    Counter device{loop};
    loop.reactor().add(device.event.fd(), EPOLLIN, device);
    device.event.signal();
    loop.after(seconds{10}, [&loop] { loop.stop(); });
    loop.run();
    CHECK(device.calls == 1);
    device.event.signal();
    loop.run();  // again, after a stop
    CHECK(device.calls == 2);
    loop.reactor().remove(device.event.fd(), device);
}

TEST_CASE("paused devices are not served, and what came meanwhile is served on resume") {
    EventLoop loop;
    Counter device{loop};
    loop.reactor().add(device.event.fd(), EPOLLIN | EPOLLET, device);
    loop.pause_devices();
    loop.pause_devices();
    device.event.signal();
    loop.after(milliseconds{20}, [&loop] { loop.stop(); });
    loop.run();
    CHECK(device.calls == 0);
    loop.resume_devices();
    loop.resume_devices();
    loop.after(seconds{10}, [&loop] { loop.stop(); });
    loop.run();
    CHECK(device.calls == 1);
    loop.reactor().remove(device.event.fd(), device);
}

}  // namespace shoal::vmm
