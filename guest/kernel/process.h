// Process: the one Linux program of this microVM.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "guest/kernel/address_space.h"
#include "guest/kernel/patch/syscall_patcher.h"
#include "guest/kernel/registers.h"
#include "guest/kernel/signals.h"
#include "guest/kernel/syscalls/files.h"

namespace shoal::guest {

enum class Tracing { off, on };

struct Process {
    explicit Process(const FileContext& context) : files{context} {}

    AddressSpace memory;
    Signals signals;
    SyscallPatcher patcher;
    FileContext files;
    EntryRef executable;
    std::vector<std::string_view> arguments;
    std::vector<std::string_view> environment;
    std::uint64_t fs_base = 0;
    std::uint64_t clear_child_tid = 0;
    Tracing tracing = Tracing::off;
};

inline constexpr int process_id = 1;

// The process, once make_process() was called.
[[nodiscard]] Process& process();
void make_process(const FileContext& files);

// Ends the microVM with the program's exit code, once all output has left.
[[noreturn]] void exit_process(int code);
// Ends it as a program ends that a signal killed: says so on stderr, exit code 128 + number.
[[noreturn]] void die_of_signal(unsigned number);
[[noreturn]] void die_of_fault(const SignalInfo& info, const Registers& registers);

// Writes to the console's standard error.
void print_message(std::string_view text);

}  // namespace shoal::guest
