// A vCPU's thread under requests from others. Meant to run under ThreadSanitizer as well.
#include "vmm/machine/vcpu_thread.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/vmm/kvm/tiny_guest.h"

namespace shoal::vmm {
namespace {

using kvm::testing::open_kvm;
using kvm::testing::TinyGuest;

// Counts the guest's port writes.
struct Counter final : machine::BusDevice {
    void read(std::uint64_t, std::span<std::byte>) noexcept override {}
    void write(std::uint64_t, std::span<const std::byte>) noexcept override {
        count.fetch_add(1);
        count.notify_all();
    }
    void wait_for_more() const {
        const std::uint64_t seen = count.load();
        count.wait(seen);
    }
    std::atomic<std::uint64_t> count = 0;
};

// A guest that writes to a port for ever.
struct Rig {
    explicit Rig(const kvm::Kvm& kvm, std::function<void()> on_thread = {})
        : guest{kvm, {0xE6, 0x80, 0xEB, 0xFC}} {
        install_kick_signal();
        ports.add(0x80, 1, counter);
        thread.emplace(0, guest.make_vcpu(),
                       VcpuSurroundings{ports, mmio, ending, nullptr, std::move(on_thread)});
    }
    TinyGuest guest;
    Counter counter;
    Bus ports;
    Bus mmio;
    EndingSlot ending;
    std::optional<VcpuThread> thread;
};

TEST_CASE("a vCPU starts paused, runs when resumed, and stands still when paused") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    Rig rig{*kvm};
    CHECK(rig.counter.count == 0);
    rig.thread->resume();
    rig.counter.wait_for_more();
    rig.thread->pause();
    const std::uint64_t paused_at = rig.counter.count;
    rig.thread->pause();  // again is no harm
    CHECK(rig.counter.count == paused_at);
    rig.thread->resume();
    rig.counter.wait_for_more();
    CHECK(rig.counter.count > paused_at);
    CHECK(!rig.ending.get());
    rig.thread->pause();
    const VcpuMetrics& metrics = rig.thread->metrics();
    CHECK(metrics.exit_io_out.count() == rig.counter.count);
    CHECK(metrics.exit_io_out.latency().min_ns > 0);
    CHECK(metrics.exit_io_in.count() == 0);
    CHECK(metrics.exit_mmio_write.latency() == host::Latency{});
}

TEST_CASE("pausing, resuming and stopping from many threads neither hangs nor races") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    Rig rig{*kvm};
    std::vector<std::jthread> others;
    for (int i = 0; i < 4; ++i) {
        others.emplace_back([&rig, i] {
            for (int turn = 0; turn < 200; ++turn) {
                (turn + i) % 2 == 0 ? rig.thread->resume() : rig.thread->pause();
            }
        });
    }
    others.clear();
    rig.thread->resume();
    rig.counter.wait_for_more();
    rig.thread->pause();
    rig.thread.reset();
}

TEST_CASE("a vCPU that was never resumed can be stopped") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    Rig rig{*kvm};
    rig.thread.reset();
    CHECK(rig.counter.count == 0);
}

TEST_CASE("a vCPU's thread gives up its rights before the guest runs, or the guest does not run") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    std::atomic<std::uint64_t> written_before = 1;
    Rig* place = nullptr;
    std::atomic_flag is_there;
    Rig rig{*kvm, [&] {
                is_there.wait(false);
                written_before = place->counter.count.load();
            }};
    place = &rig;
    rig.thread->resume();
    is_there.test_and_set();
    is_there.notify_all();
    rig.counter.wait_for_more();
    CHECK(written_before == 0);

    Rig broken{*kvm, [] { throw std::runtime_error{"no filter"}; }};
    broken.thread->resume();
    while (!broken.ending.get()) {
        std::this_thread::yield();
    }
    CHECK(broken.ending.get()->code == static_cast<int>(ExitCode::failure));
    CHECK(broken.ending.get()->sentence == "no filter");
    broken.thread->resume();
    broken.thread->pause();
    CHECK(broken.counter.count == 0);
}

TEST_CASE("a triple fault is reported with RIP, and the thread can still be paused and stopped") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    TinyGuest guest{*kvm, {0x0F, 0x0B}};
    install_kick_signal();
    Bus ports;
    Bus mmio;
    EndingSlot ending;
    VcpuThread thread{0, guest.make_vcpu(), {ports, mmio, ending}};
    thread.resume();
    while (!ending.get()) {
        std::this_thread::yield();
    }
    thread.pause();
    CHECK(ending.get()->code == static_cast<int>(ExitCode::triple_fault));
    // kvm_amd does not tell where.
    const std::string sentence = ending.get()->sentence;
    CHECK((sentence == "the guest triple-faulted at RIP 0x100000 on vCPU 0" ||
           sentence == "the guest triple-faulted on vCPU 0"));
}

TEST_CASE("the first ending is the one that counts") {
    EndingSlot slot;
    CHECK(!slot.get());
    CHECK(!slot.event().drain());
    slot.set({7, "first"});
    slot.set({8, "second"});
    CHECK(slot.get()->code == 7);
    CHECK(slot.event().drain());
}

}  // namespace
}  // namespace shoal::vmm
