// CommandLine: words, then what each of them means.
#include "guest/kernel/boot/command_line.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

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
    "ip",
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
    "root",
    "rootdelay",
    "rootflags",
    "rootfstype",
    "rootwait",
    "rw",
    "selinux",
    "swiotlb",
    "tsc",
    "vga",
};

bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// A word: KEY, or KEY=VALUE.
struct Word {
    std::string_view key{};
    std::optional<std::string_view> value{};
    std::string_view whole{};
};

class WordReader {
public:
    explicit WordReader(std::span<char> text) noexcept : text_{text} {}

    std::optional<Word> next();

private:
    std::span<char> text_;
};

// As next_arg() of lib/cmdline.c, which see for what quotes do: they may enclose a word or a value,
// and are kept elsewhere.
std::optional<Word> WordReader::next() {
    while (!text_.empty() && is_blank(text_.front())) {
        text_ = text_.subspan(1);
    }
    if (text_.empty()) {
        return std::nullopt;
    }
    const bool is_quoted = text_.front() == '"';
    bool in_quotes = is_quoted;
    if (is_quoted) {
        text_ = text_.subspan(1);
    }
    std::size_t end = 0;
    std::size_t equals = 0;
    for (; end < text_.size() && (in_quotes || !is_blank(text_[end])); ++end) {
        if (equals == 0 && text_[end] == '=') {
            equals = end;
        }
        if (text_[end] == '"') {
            in_quotes = !in_quotes;
        }
    }
    std::span<char> word = text_.first(end);
    text_ = text_.subspan(end);
    const bool has_quoted_value =
        equals != 0 && equals + 1 < word.size() && word[equals + 1] == '"';
    if ((is_quoted || has_quoted_value) && word.size() > equals + 2 && word.back() == '"') {
        word = word.first(word.size() - 1);
    } else if (is_quoted && equals == 0 && !word.empty() && word.back() == '"') {
        word = word.first(word.size() - 1);
    }
    if (has_quoted_value) {
        // Close the gap, so that KEY=VALUE stays one piece.
        std::memmove(&word[equals + 1], &word[equals + 1] + 1, word.size() - equals - 2);
        word = word.first(word.size() - 1);
    }
    const std::string_view whole{word.data(), word.size()};
    if (equals == 0) {
        return Word{whole, std::nullopt, whole};
    }
    return Word{whole.substr(0, equals), whole.substr(equals + 1), whole};
}

// A number in C's notation, with K, M or G behind it if `suffix` allows. Takes it off the text.
enum class Suffix { refused, allowed };
std::optional<std::uint64_t> take_number(std::string_view& text, Suffix suffix) {
    std::uint64_t base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size(); ++digits) {
        const char c = static_cast<char>(text[digits] | 0x20);
        const bool is_letter = base == 16 && c >= 'a' && c <= 'f';
        if (!is_letter && (text[digits] < '0' || text[digits] > '9')) {
            break;
        }
        const auto digit = static_cast<std::uint64_t>(is_letter ? c - 'a' + 10 : c - '0');
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return std::nullopt;
        }
    }
    if (digits == 0) {
        return std::nullopt;
    }
    text.remove_prefix(digits);
    constexpr std::string_view units = "kmg";
    if (suffix == Suffix::allowed && !text.empty()) {
        const std::size_t unit = units.find(static_cast<char>(text.front() | 0x20));
        if (unit != std::string_view::npos) {
            text.remove_prefix(1);
            if (__builtin_mul_overflow(value, 1ULL << 10 * (unit + 1), &value)) {
                return std::nullopt;
            }
        }
    }
    return value;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

// <size>@<base>:<irq>[:<id>]
std::optional<VirtioMmioWord> parse_virtio_mmio(std::string_view text) {
    constexpr std::uint64_t irq_max = 1023;
    const auto size = take_number(text, Suffix::allowed);
    if (!size || *size == 0 || !take(text, '@')) {
        return std::nullopt;
    }
    const auto base = take_number(text, Suffix::refused);
    if (!base || !take(text, ':')) {
        return std::nullopt;
    }
    const auto irq = take_number(text, Suffix::refused);
    std::uint64_t end = 0;
    if (!irq || *irq > irq_max || __builtin_add_overflow(*base, *size, &end)) {
        return std::nullopt;
    }
    if (take(text, ':') && !take_number(text, Suffix::refused)) {
        return std::nullopt;
    }
    if (!text.empty()) {
        return std::nullopt;
    }
    return VirtioMmioWord{*size, *base, static_cast<std::uint32_t>(*irq)};
}

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
