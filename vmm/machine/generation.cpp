// The generation area's content.
#include "vmm/machine/generation.h"

#include <span>
#include <stdexcept>

#include "devices/abi/generation.h"
#include "devices/host/check.h"
#include "devices/host/random.h"

namespace shoal::vmm {
namespace {

constexpr machine::Gpa header_at{abi::generation_area};
constexpr machine::Gpa words_at{abi::generation_words};

std::string to_area(const CloneWords& clone) {
    std::string bytes;
    const auto add = [&bytes](const std::string& word) {
        if (word.find('\0') != std::string::npos) {
            throw std::runtime_error("a clone's words cannot have a NUL in them");
        }
        bytes.append(word.c_str(), word.size() + 1);
    };
    add(clone.id);
    for (const std::string& word : clone.args) {
        add(word);
    }
    if (bytes.size() > abi::generation_words_max_bytes) {
        throw std::runtime_error("the clone's words have " + std::to_string(bytes.size()) +
                                 " bytes with their ends; the most is " +
                                 std::to_string(abi::generation_words_max_bytes));
    }
    return bytes;
}

std::string boot_args_of(const CloneWords& clone) {
    if (clone.boot_args.size() > abi::generation_boot_args_max_bytes) {
        throw std::runtime_error("the clone's boot_args have " +
                                 std::to_string(clone.boot_args.size()) + " bytes; the most is " +
                                 std::to_string(abi::generation_boot_args_max_bytes));
    }
    return clone.boot_args;
}

// RAM is there: 1 MiB is the least that a guest has.
void write(const machine::GuestMemory& memory, const std::string& words,
           const std::string& boot_args) {
    using Header = abi::GenerationHeader;
    const Header header{
        abi::generation_magic, abi::generation_version, static_cast<std::uint32_t>(words.size()),
        host::random_value<decltype(Header::id)>(), host::random_value<decltype(Header::seed)>()};
    SHOAL_CHECK(memory.write_bytes(words_at, std::as_bytes(std::span{words})));
    SHOAL_CHECK(
        memory.write(machine::Gpa{abi::generation_boot_args},
                     abi::GenerationBootArgs{abi::generation_boot_args_magic,
                                             static_cast<std::uint32_t>(boot_args.size()), 0}));
    SHOAL_CHECK(memory.write_bytes(machine::Gpa{abi::generation_text},
                                   std::as_bytes(std::span{boot_args})));
    SHOAL_CHECK(memory.write(header_at, header));
}

}  // namespace

void write_generation(const machine::GuestMemory& memory) {
    write(memory, {}, {});
}

void renew_generation(const machine::GuestMemory& memory, const std::optional<CloneWords>& clone) {
    const auto before = memory.read<abi::GenerationHeader>(header_at);
    SHOAL_CHECK(before);
    const bool is_there =
        before->magic == abi::generation_magic && before->version == abi::generation_version;
    if (is_there) {
        const CloneWords words = clone.value_or(CloneWords{});
        write(memory, clone ? to_area(words) : std::string{}, boot_args_of(words));
    } else if (clone) {
        throw std::runtime_error("the guest has no generation area where a clone's words could go");
    }
}

void count_arrival(const machine::GuestMemory& memory) {
    constexpr machine::Gpa at{abi::generation_boot_args};
    auto head = memory.read<abi::GenerationBootArgs>(at);
    SHOAL_CHECK(head);
    if (head->magic == abi::generation_boot_args_magic) {
        ++head->arrivals;
        SHOAL_CHECK(memory.write(at, *head));
    }
}

}  // namespace shoal::vmm
