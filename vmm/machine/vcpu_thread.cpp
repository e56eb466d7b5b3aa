// A vCPU's loop: run, answer the exit, look at what others wish.
#include "vmm/machine/vcpu_thread.h"

#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "devices/host/clock.h"

namespace shoal::vmm {
namespace {

constexpr std::size_t stack_bytes = 128 * 1024;

int kick_signal() {
    return SIGRTMIN;
}

std::string hex(std::uint64_t value) {
    std::array<char, 24> text;
    std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
    return text.data();
}

// Where the vCPU was. On AMD, KVM resets it after a shutdown, and the place is lost.
std::string place_of_shutdown(const kvm::Vcpu& vcpu) {
    constexpr std::uint64_t reset_rip = 0xFFF0;
    constexpr std::uint64_t reset_code_base = 0xFFFF'0000;
    const std::uint64_t rip = vcpu.registers().rip;
    if (rip == reset_rip && vcpu.special_registers().cs.base == reset_code_base) {
        return {};
    }
    return " at RIP " + hex(rip);
}

// Instructions that KVM's emulator, and so a backend that emulates ring 0, does not know.
const char* known_limitation(std::span<const std::uint8_t> bytes) {
    std::size_t at = 0;
    while (at < bytes.size() && (bytes[at] == 0x66 || bytes[at] == 0xF2 || bytes[at] == 0xF3 ||
                                 (bytes[at] & 0xF0) == 0x40)) {
        ++at;  // operand-size, repeat and REX prefixes
    }
    const auto rest = bytes.subspan(at);
    if (rest.empty()) {
        return nullptr;
    }
    if (rest[0] == 0xCC) {
        return "int3";
    }
    if (rest[0] >= 0xD8 && rest[0] <= 0xDF) {
        return "x87";
    }
    if (rest[0] == 0xC4 || rest[0] == 0xC5 || rest[0] == 0x62) {
        return "AVX";
    }
    if (rest[0] == 0x0F && rest.size() >= 2) {
        if (rest[1] == 0xC7) {
            return "cmpxchg16b or xsaves";
        }
        if (rest[1] == 0xAE) {
            return "fxsave, xsave or xrstor";
        }
        return "SSE";
    }
    return nullptr;
}

}  // namespace

void install_kick_signal() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    host::check_os(::sigaction(kick_signal(), &action, nullptr), "sigaction");
}

VcpuThread::VcpuThread(std::uint32_t idx, kvm::Vcpu vcpu, VcpuSurroundings surroundings)
    : idx_{idx},
      vcpu_{std::move(vcpu)},
      surroundings_{std::move(surroundings)},
      thread_{"vcpu" + std::to_string(idx), stack_bytes, [this] { main(); }} {}

VcpuThread::~VcpuThread() {
    request_stop();
}

// The order in which a kick is never lost: the wish is written, then immediate_exit set, then the
// thread signalled. Whatever the thread does in between, it either sees the wish before it enters
// KVM_RUN, or KVM_RUN returns at once, or the signal interrupts it.
void VcpuThread::wish(Wish wanted) noexcept {
    const std::scoped_lock lock{mutex_};
    if (wish_ == Wish::stop) {
        return;
    }
    wish_ = wanted;
    if (wanted != Wish::run && is_running_) {
        vcpu_.kick();
        thread_.signal(kick_signal());
    }
    changed_.notify_all();
}

void VcpuThread::resume() noexcept {
    wish(Wish::run);
}

void VcpuThread::pause() noexcept {
    wish(Wish::pause);
    std::unique_lock lock{mutex_};
    // A thread that resumes the vCPU meanwhile has the last word: it may never stand still then.
    changed_.wait(lock, [this] { return !is_running_ || wish_ == Wish::run; });
}

void VcpuThread::request_stop() noexcept {
    wish(Wish::stop);
}

VcpuThread::Wish VcpuThread::wait_for_wish() noexcept {
    std::unique_lock lock{mutex_};
    is_running_ = false;
    changed_.notify_all();
    changed_.wait(lock,
                  [this] { return wish_ == Wish::stop || (wish_ == Wish::run && !is_over_); });
    is_running_ = wish_ == Wish::run;
    vcpu_.clear_kick();
    return wish_;
}

void VcpuThread::main() noexcept {
    try {
        if (surroundings_.on_thread) {
            surroundings_.on_thread();
        }
    } catch (const std::exception& error) {
        surroundings_.ending.set({static_cast<int>(ExitCode::failure), error.what()});
        return;
    }
    while (wait_for_wish() == Wish::run) {
        try {
            run_until_wished_otherwise();
        } catch (const std::exception& error) {
            surroundings_.ending.set({static_cast<int>(ExitCode::kvm_failure), error.what()});
            is_over_ = true;
        }
    }
}

void VcpuThread::run_until_wished_otherwise() {
    vcpu_.tell_of_pause();
    while (!is_over_) {
        const kvm::Exit exit = vcpu_.run();
        if (std::holds_alternative<kvm::Interrupted>(exit)) {
            const std::scoped_lock lock{mutex_};
            // A process that was stopped goes on all at once: the event loop, which sees to it, may
            // be later than this thread.
            const auto* fence = surroundings_.fence;
            if (wish_ == Wish::run && fence != nullptr && fence->has_passed()) {
                wish_ = Wish::pause;
            }
            if (wish_ != Wish::run) {
                return;
            }
            vcpu_.clear_kick();
            continue;
        }
        handle(exit);
    }
}

void VcpuThread::answer(const kvm::PortAccess& port) noexcept {
    const bool reads = port.direction == kvm::PortAccess::Direction::in;
    const std::uint64_t begun_ns = host::monotonic_ns();
    // String instructions bring several accesses to the same port.
    for (std::size_t at = 0; at < port.data.size(); at += port.width) {
        const auto data = port.data.subspan(at, port.width);
        if (reads) {
            surroundings_.ports.read(port.port, data);
        } else {
            surroundings_.ports.write(port.port, data);
        }
    }
    (reads ? metrics_.exit_io_in : metrics_.exit_io_out).record(host::monotonic_ns() - begun_ns);
}

void VcpuThread::answer(const kvm::MmioAccess& access) noexcept {
    const bool reads = access.direction == kvm::MmioAccess::Direction::read;
    const std::uint64_t begun_ns = host::monotonic_ns();
    if (reads) {
        surroundings_.mmio.read(access.address, access.data);
    } else {
        surroundings_.mmio.write(access.address, access.data);
    }
    (reads ? metrics_.exit_mmio_read : metrics_.exit_mmio_write)
        .record(host::monotonic_ns() - begun_ns);
}

void VcpuThread::handle(const kvm::Exit& exit) {
    if (const auto* port = std::get_if<kvm::PortAccess>(&exit)) {
        answer(*port);
        // The guest may just have written to what ends it: it need not wait to be stopped.
        is_over_ = surroundings_.ending.is_set();
        return;
    }
    if (const auto* access = std::get_if<kvm::MmioAccess>(&exit)) {
        answer(*access);
        return;
    }
    is_over_ = true;
    if (std::holds_alternative<kvm::Shutdown>(exit)) {
        surroundings_.ending.set({static_cast<int>(ExitCode::triple_fault),
                                  "the guest triple-faulted" + place_of_shutdown(vcpu_) +
                                      " on vCPU " + std::to_string(idx_)});
    } else if (const auto* error = std::get_if<kvm::InternalError>(&exit)) {
        report(*error);
    } else if (const auto* entry = std::get_if<kvm::FailedEntry>(&exit)) {
        surroundings_.ending.set(
            {static_cast<int>(ExitCode::kvm_failure),
             "the CPU refused to enter the guest, hardware reason " + hex(entry->hardware_reason)});
    } else if (const auto* unknown = std::get_if<kvm::UnknownExit>(&exit)) {
        surroundings_.ending.set(
            {static_cast<int>(ExitCode::kvm_failure),
             "KVM returned with unknown exit reason " + std::to_string(unknown->reason)});
    } else {
        surroundings_.ending.set(
            {static_cast<int>(ExitCode::kvm_failure), "the guest halted for ever"});
    }
}

void VcpuThread::report(const kvm::InternalError& error) {
    const std::uint64_t rip = vcpu_.registers().rip;
    const unsigned ring = vcpu_.special_registers().ss.dpl;
    const std::span bytes{error.instruction.data(), error.instruction_size};
    std::string sentence = "KVM internal error, suberror " + std::to_string(error.suberror) +
                           ", at RIP " + hex(rip) + " in ring " + std::to_string(ring);
    if (!bytes.empty()) {
        sentence += ", instruction bytes";
        for (const std::uint8_t byte : bytes) {
            std::array<char, 4> text;
            std::snprintf(text.data(), text.size(), " %02x", byte);
            sentence += text.data();
        }
    }
    if (const char* what = ring == 0 ? known_limitation(bytes) : nullptr) {
        sentence += std::string{": this KVM backend emulates ring 0 and cannot run "} + what +
                    " there; the guest needs KVM with hardware virtualization";
    }
    surroundings_.ending.set({static_cast<int>(ExitCode::kvm_internal_error), sentence});
}

}  // namespace shoal::vmm
