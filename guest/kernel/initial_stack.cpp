// The stack that a program finds at its first instruction: argc, argv, envp, auxv, and the strings.
#include <elf.h>

#include <array>
#include <cstring>

#include "guest/kernel/cpu.h"
#include "guest/kernel/program.h"
#include "guest/kernel/random.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t max_strings_bytes = 1ULL << 20;  // half of the stack's first page
constexpr unsigned random_bits = 15;                     // of 16 bytes: a quarter of that page
constexpr char platform[] = "x86_64";

// Writes downwards from the top of the stack. The caller has made the memory accessible.
class StackWriter {
public:
    explicit StackWriter(std::uint64_t top) : at_{top} {}

    std::uint64_t push_bytes(const void* bytes, std::size_t size_bytes) {
        at_ -= size_bytes;
        std::memcpy(reinterpret_cast<void*>(at_), bytes, size_bytes);
        return at_;
    }
    std::uint64_t push_string(std::string_view text) {
        const char end = '\0';
        push_bytes(&end, 1);
        return push_bytes(text.data(), text.size());
    }
    void push(std::uint64_t word) { push_bytes(&word, sizeof word); }
    void align(std::uint64_t words_to_come) {
        at_ = (at_ & ~15ULL) - (words_to_come % 2) * sizeof(std::uint64_t);
    }
    [[nodiscard]] std::uint64_t at() const { return at_; }

private:
    std::uint64_t at_;
};

std::uint64_t total_size(const std::vector<std::string_view>& words) {
    std::uint64_t size = 0;
    for (const std::string_view word : words) {
        size += word.size() + 1 + sizeof(std::uint64_t);
    }
    return size;
}

std::vector<std::uint64_t> push_strings(StackWriter& stack,
                                        const std::vector<std::string_view>& words) {
    std::vector<std::uint64_t> at(words.size());
    for (std::size_t i = words.size(); i-- > 0;) {
        at[i] = stack.push_string(words[i]);
    }
    return at;
}

void push_list(StackWriter& stack, const std::vector<std::uint64_t>& pointers) {
    stack.push(0);
    for (std::size_t i = pointers.size(); i-- > 0;) {
        stack.push(pointers[i]);
    }
}

}  // namespace

Result<Registers> make_initial_stack(AddressSpace& space, const LoadedProgram& program,
                                     const StartArguments& start) {
    const std::uint64_t size =
        total_size(start.arguments) + total_size(start.environment) + start.path.size() + page_size;
    if (size > max_strings_bytes) {
        return std::unexpected(Errno::toobig);
    }
    const std::uint64_t top = NUB_STACK_TOP - random_number(random_bits) * 16;
    if (!space.resolve_all(top - size, size, Access::write)) {
        return std::unexpected(Errno::nomem);
    }
    StackWriter stack{top - sizeof(std::uint64_t)};
    const std::uint64_t path = stack.push_string(start.path);
    const auto environment = push_strings(stack, start.environment);
    const auto arguments = push_strings(stack, start.arguments);
    const std::uint64_t platform_at = stack.push_string(platform);
    std::array<std::byte, 16> random{};
    fill_random(random);
    const std::uint64_t random_at = stack.push_bytes(random.data(), random.size());

    const Elf64_auxv_t auxiliary[] = {
        {AT_PHDR, {program.program_headers}},
        {AT_PHENT, {sizeof(Elf64_Phdr)}},
        {AT_PHNUM, {program.program_header_count}},
        {AT_PAGESZ, {page_size}},
        {AT_BASE, {program.interpreter_base}},
        {AT_FLAGS, {0}},
        {AT_ENTRY, {program.entry}},
        {AT_UID, {0}},
        {AT_EUID, {0}},
        {AT_GID, {0}},
        {AT_EGID, {0}},
        {AT_SECURE, {0}},
        {AT_CLKTCK, {100}},
        {AT_HWCAP, {cpuid(1).edx}},
        {AT_RANDOM, {random_at}},
        {AT_PLATFORM, {platform_at}},
        {AT_EXECFN, {path}},
        {AT_SYSINFO_EHDR, {program.vdso}},
        {AT_NULL, {0}},
    };
    stack.align(environment.size() + 1 + arguments.size() + 1 + 1);
    stack.push_bytes(auxiliary, sizeof auxiliary);
    space.set_auxiliary_vector(std::as_bytes(std::span{auxiliary}));
    push_list(stack, environment);
    push_list(stack, arguments);
    stack.push(arguments.size());

    Registers registers{};
    registers.rip = program.start;
    registers.rsp = stack.at();
    registers.rflags = 0x202;
    return registers;
}

}  // namespace shoal::guest
