// CommandLine: words, then what each of them means.
#include "guest/kernel/boot/command_line.h"

#include <algorithm>
#include <string_view>

#include "guest/kernel/boot/ip_word.h"
#include "guest/kernel/boot/words.h"

namespace shoal::guest {
namespace {

// Words that Linux itself understands, so that they are no program's environment or argument.
constexpr std::string_view linux_words[] = {
    "acpi",
    "apic",
    "audit",
    "clocksource",
    "debug",
    "earlycon",
    "earlyprintk",
    "hugepages",
    "idle",
    "ignore_loglevel",
    "initcall_debug",
    "initrd",
    "iommu",
    "keep_bootcon",
    "lapic",
    "loglevel",
    "lpj",
    "maxcpus",
    "mem",
    "memmap",
    "mitigations",
    "nfsroot",
    "noacpi",
    "noapic",
    "nohz",
    "nokaslr",
    "nolapic",
    "nomodule",
    "nomodules",
    "nopti",
    "norandmaps",
    "noreplace-smp",
    "nosmp",
    "notsc",
    "nowatchdog",
    "nr_cpus",
    "panic",
    "pci",
    "pti",
    "random_trust_cpu",
    "reboot",
    "ro",
    "rootdelay",
    "rootflags",
    "rootwait",
    "rw",
    "selinux",
    "swiotlb",
    "tsc",
    "vga",
};

class Parser {
public:
    CommandLine parse(std::span<char> text);

private:
    void take_word(const Word& word);
    void take_dotted(const Word& word);
    void name_init(std::string_view path);
    void add_environment(const Word& word);
    void take_flag(Asked& flag, const Word& word);
    void refuse(const Word& word);

    CommandLine result_{};
    bool has_ramdisk_init_ = false;
};

void Parser::refuse(const Word& word) {
    if (result_.refused.empty()) {
        result_.refused = word.whole;
    }
}

void Parser::take_flag(Asked& flag, const Word& word) {
    if (!word.value || *word.value == "1") {
        flag = Asked::yes;
    } else if (*word.value == "0") {
        flag = Asked::no;
    } else {
        refuse(word);
    }
}

void Parser::take_dotted(const Word& word) {
    const std::string_view value = word.value.value_or("");
    if (word.key == "virtio_mmio.device") {
        if (const auto device = parse_virtio_mmio(value)) {
            result_.virtio_mmio.push_back(*device);
        } else {
            refuse(word);
        }
    } else if (word.key == "shoal.tty") {
        for (const char c : value) {
            if (c < '0' || c > '2') {
                refuse(word);
                return;
            }
            result_.tty_streams |= 1U << (c - '0');
        }
    } else if (word.key == "shoal.ip6") {
        result_.ip6 = value;
        if (!parse_ip6_word(value)) {
            refuse(word);
        }
    } else if (word.key == "shoal.trace_syscalls") {
        take_flag(result_.trace_syscalls, word);
    } else if (word.key == "shoal.boot_timer") {
        take_flag(result_.boot_timer, word);
    } else if (word.key.starts_with("shoal.")) {
        refuse(word);
    }
}

void Parser::name_init(std::string_view path) {
    result_.init = path;
    result_.init_was_named = Asked::yes;
}

// The place of an earlier word with the same key is kept, as in Linux.
void Parser::add_environment(const Word& word) {
    const std::string_view prefix = word.whole.substr(0, word.key.size() + 1);
    for (std::string_view& known : result_.environment) {
        if (known.starts_with(prefix)) {
            known = word.whole;
            return;
        }
    }
    result_.environment.push_back(word.whole);
}

void Parser::take_word(const Word& word) {
    const bool is_ramdisk_init = word.key == "rdinit";
    if ((is_ramdisk_init || word.key == "init") && word.value) {
        result_.arguments.clear();
        if (word.value->empty()) {
            refuse(word);
        } else if (is_ramdisk_init || !has_ramdisk_init_) {
            name_init(*word.value);
        }
        has_ramdisk_init_ = has_ramdisk_init_ || is_ramdisk_init;
    } else if (word.key == "console" && word.value) {
        result_.console = *word.value;
    } else if (word.key == "ip" && word.value) {
        result_.ip = *word.value;
        if (!parse_ip_word(*word.value)) {
            refuse(word);
        }
    } else if (word.key == "root") {
        result_.root = word.value.value_or("");
    } else if (word.key == "rootfstype") {
        result_.root_type = word.value.value_or("");
    } else if (word.key == "quiet" && !word.value) {
        result_.quiet = Asked::yes;
    } else if (word.key.find('.') != std::string_view::npos) {
        take_dotted(word);
    } else if (std::ranges::find(linux_words, word.key) != std::end(linux_words)) {
        return;
    } else if (word.value) {
        add_environment(word);
    } else if (!word.whole.empty()) {
        result_.arguments.push_back(word.whole);
    }
}

CommandLine Parser::parse(std::span<char> text) {
    WordReader reader{text.first(
        static_cast<std::size_t>(std::find(text.begin(), text.end(), '\0') - text.begin()))};
    bool is_after_dashes = false;
    while (const auto word = reader.next()) {
        if (is_after_dashes) {
            result_.arguments.push_back(word->whole);
        } else if (word->whole == "--") {
            is_after_dashes = true;
        } else {
            take_word(*word);
        }
    }
    return std::move(result_);
}

}  // namespace

CommandLine parse_command_line(std::span<char> text) {
    return Parser{}.parse(text);
}

}  // namespace shoal::guest
