// Lists of system calls into the kernel's filter programs (classic BPF), by the compiler: a start
// pays for the installation alone.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace shoal::jail {

// A system call of which one argument is checked. The kernel takes all of these arguments as 32
// bits, so the other half does not matter.
struct Rule {
    enum class Check {
        one_of,   // the argument is one of the values
        without,  // none of the first value's bits is in it
    };
    std::uint32_t call;
    std::uint32_t argument;  // which, from 0
    Check check;
    std::span<const std::uint32_t> values;
};

// At most so many instructions; the longest list needs 300.
struct Program {
    std::array<sock_filter, 400> code{};
    std::size_t size = 0;

    constexpr void add(int operation, std::uint32_t operand, std::size_t if_true = 0,
                       std::size_t if_false = 0) {
        code.at(size++) = {static_cast<std::uint16_t>(operation), jump(if_true), jump(if_false),
                           operand};
    }
    // What fits no jump is found when the program is compiled.
    static constexpr std::uint8_t jump(std::size_t count) {
        return count < 256 ? static_cast<std::uint8_t>(count) : throw "a jump is too long";
    }
};

constexpr int load = BPF_LD | BPF_W | BPF_ABS;
constexpr int if_equal = BPF_JMP | BPF_JEQ | BPF_K;
constexpr int if_at_least = BPF_JMP | BPF_JGE | BPF_K;
constexpr int if_any_bit = BPF_JMP | BPF_JSET | BPF_K;
constexpr int answer = BPF_RET | BPF_K;

constexpr void add_rule(Program& program, const Rule& rule) {
    const std::size_t count = rule.values.size();
    program.add(if_equal, rule.call, 0, count + 3);  // past the rule
    program.add(load, static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                                 rule.argument * sizeof(std::uint64_t)));
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_match = rule.check == Rule::Check::one_of;
        program.add(is_match ? if_equal : if_any_bit, rule.values[i], is_match ? count - i : 0,
                    is_match ? 0 : 1);
    }
    program.add(answer, SECCOMP_RET_TRAP);
    program.add(answer, SECCOMP_RET_ALLOW);
}

// The numbers in rising order: a binary search. At its installation the kernel tries every call
// that there is, so that a list from one end to the other would cost each start 35 us more.
constexpr void add_search(Program& program, std::span<const std::uint32_t> calls) {
    constexpr std::size_t few = 4;
    if (calls.size() > few) {
        const std::size_t half = calls.size() / 2;
        const std::size_t at = program.size;
        program.add(if_at_least, calls[half]);
        add_search(program, calls.first(half));
        program.code.at(at).jt = Program::jump(program.size - at - 1);
        return add_search(program, calls.subspan(half));
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
        program.add(if_equal, calls[i], calls.size() - i);
    }
    program.add(answer, SECCOMP_RET_TRAP);
    program.add(answer, SECCOMP_RET_ALLOW);
}

// Rules first, in their order: the kernel remembers what it may always allow (Linux 5.11), so that
// only these run the program.
constexpr Program compile(std::span<const Rule> rules,
                          std::initializer_list<std::span<const std::uint32_t>> allowed) {
    Program program;
    program.add(load, offsetof(seccomp_data, arch));
    program.add(if_equal, AUDIT_ARCH_X86_64, 1, 0);
    program.add(answer, SECCOMP_RET_KILL_PROCESS);
    program.add(load, offsetof(seccomp_data, nr));
    for (const Rule& rule : rules) {
        add_rule(program, rule);
    }
    // The C library then calls clone(2), whose flags are no pointer's.
    program.add(if_equal, SYS_clone3, 0, 1);
    program.add(answer, SECCOMP_RET_ERRNO | ENOSYS);
    std::array<std::uint32_t, 128> calls{};
    std::size_t count = 0;
    for (const std::span<const std::uint32_t> list : allowed) {
        for (const std::uint32_t call : list) {
            calls.at(count++) = call;
        }
    }
    const std::span sorted = std::span{calls}.first(count);
    std::ranges::sort(sorted);
    add_search(program, sorted);
    return program;
}

}  // namespace shoal::jail
