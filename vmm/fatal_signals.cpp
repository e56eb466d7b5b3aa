// What a signal handler may do, and no more.
#include "vmm/fatal_signals.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

#include "devices/host/last_words.h"
#include "vmm/machine/ending.h"

namespace shoal::vmm {
namespace {

struct FatalSignal {
    int number;
    std::string_view name;
    ExitCode code;
    bool has_address;  // what was accessed or executed
};

constexpr std::array fatal_signals{
    FatalSignal{SIGSYS, "SIGSYS", ExitCode::bad_system_call, true},
    FatalSignal{SIGBUS, "SIGBUS", ExitCode::bus_error, true},
    FatalSignal{SIGSEGV, "SIGSEGV", ExitCode::segmentation_fault, true},
    FatalSignal{SIGXCPU, "SIGXCPU", ExitCode::cpu_time_limit, false},
    FatalSignal{SIGILL, "SIGILL", ExitCode::illegal_instruction, true},
};

void end_process(int number, siginfo_t* info, void*) noexcept {
    const auto found = std::ranges::find(fatal_signals, number, &FatalSignal::number);
    host::LastWords sentence;
    sentence.add("shoal-vmm: ended by ");
    sentence.add(found->name);
    if (info->si_code <= 0) {
        sentence.add(" from process ");
        sentence.add_number(static_cast<std::uint64_t>(info->si_pid));
    } else if (found->has_address) {
        sentence.add(" at address 0x");
        // SAFETY: a number to be shown.
        sentence.add_number(reinterpret_cast<std::uintptr_t>(info->si_addr), 16);
    }
    sentence.add("\n");
    sentence.say();
    ::_exit(static_cast<int>(found->code));
}

}  // namespace

void handle_fatal_signals() noexcept {
    for (const FatalSignal& each : fatal_signals) {
        struct sigaction action {};
        if (::sigaction(each.number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) {
            continue;
        }
        action = {};
        action.sa_sigaction = end_process;
        action.sa_flags = SA_SIGINFO;
        ::sigaction(each.number, &action, nullptr);
    }
}

}  // namespace shoal::vmm
