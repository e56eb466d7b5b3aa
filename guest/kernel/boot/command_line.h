// CommandLine: what the kernel's command line asks for, spelled as Linux spells it.
//
// Words are split as next_arg() of Linux does: blanks separate, double quotes keep blanks together
// and are dropped around a word or a value. Words after "--" are arguments of the program. Before
// it, KEY=VALUE words that are not Linux's or ours are its environment, and plain ones arguments
// (dropped by a later init= or rdinit=, as in Linux). Words with a dot belong to modules: those
// that are not ours are ignored.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace shoal::guest {

// virtio_mmio.device=<size>@<base>:<irq>[:<id>] (Linux, admin-guide/kernel-parameters).
struct VirtioMmioWord {
    std::uint64_t size_bytes = 0;
    std::uint64_t base = 0;  // guest-physical
    std::uint32_t irq = 0;   // GSI

    friend bool operator==(const VirtioMmioWord&, const VirtioMmioWord&) = default;
};

enum class Asked { no, yes };

struct CommandLine {
    std::string_view init = "/init";  // rdinit=, else init=
    Asked init_was_named = Asked::no;
    std::vector<std::string_view> arguments{};    // without argv[0]
    std::vector<std::string_view> environment{};  // KEY=VALUE; the last of a KEY counts
    std::vector<VirtioMmioWord> virtio_mmio{};
    std::string_view root{};       // root=
    std::string_view root_type{};  // rootfstype=
    std::string_view console{};    // of the last console=, with its options
    std::string_view ip{};         // ip=, for parse_ip_word()
    std::string_view ip6{};        // shoal.ip6=, for parse_ip6_word()
    Asked quiet = Asked::no;
    std::uint32_t tty_streams = 0;     // shoal.tty=012: bit n is descriptor n
    Asked trace_syscalls = Asked::no;  // shoal.trace_syscalls=1
    Asked boot_timer = Asked::no;      // shoal.boot_timer=1
    std::string_view refused{};        // the first word of ours that could not be understood
};

// Rewrites `text` (quotes go); the result points into it. A NUL ends the text.
[[nodiscard]] CommandLine parse_command_line(std::span<char> text);

}  // namespace shoal::guest
