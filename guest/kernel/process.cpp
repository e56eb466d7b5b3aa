// The process: its one instance and the ways it ends.
#include "guest/kernel/process.h"

#include <signal.h>

#include <array>
#include <new>

#include "guest/kernel/console.h"
#include "guest/kernel/message.h"
#include "guest/kernel/panic.h"
#include "guest/net/net.h"

namespace shoal::guest {
namespace {

alignas(Process) constinit std::array<std::byte, sizeof(Process)> storage{};
constinit Process* instance = nullptr;

std::string_view signal_name(unsigned number) {
    switch (number) {
        case SIGHUP:
            return "SIGHUP";
        case SIGINT:
            return "SIGINT";
        case SIGQUIT:
            return "SIGQUIT";
        case SIGILL:
            return "SIGILL";
        case SIGTRAP:
            return "SIGTRAP";
        case SIGABRT:
            return "SIGABRT";
        case SIGBUS:
            return "SIGBUS";
        case SIGFPE:
            return "SIGFPE";
        case SIGKILL:
            return "SIGKILL";
        case SIGSEGV:
            return "SIGSEGV";
        case SIGPIPE:
            return "SIGPIPE";
        case SIGALRM:
            return "SIGALRM";
        case SIGTERM:
            return "SIGTERM";
    }
    return "a signal";
}

[[noreturn]] void end_with(const Message& text, unsigned number) {
    print_message(text.view());
    exit_process(static_cast<int>(128 + number));
}

}  // namespace

Process& process() {
    return *instance;
}

void make_process(const FileContext& files) {
    instance = new (storage.data()) Process{files};
}

void exit_process(int code) {
    instance->files.table.close_all();
    net::drain();
    flush_console();
    power_off(static_cast<std::uint32_t>(code) & 0xFF);
}

void die_of_signal(unsigned number) {
    Message text;
    text << "shoal: the program was killed by " << signal_name(number) << " (";
    text.decimal(number) << ")\n";
    end_with(text, number);
}

void die_of_fault(const SignalInfo& info, const Registers& registers) {
    Message text;
    text << "shoal: the program was killed by " << signal_name(info.number) << " (";
    text.decimal(info.number) << ") at address ";
    text.hex(info.address) << ", instruction at ";
    text.hex(registers.rip) << "\n";
    end_with(text, info.number);
}

}  // namespace shoal::guest
