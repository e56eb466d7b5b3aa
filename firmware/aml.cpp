// Encoding AML.
#include "firmware/aml.h"

#include "devices/host/check.h"

namespace shoal::firmware::aml {
namespace {

constexpr char op_zero = 0x00;
constexpr char op_one = 0x01;
constexpr char op_name = 0x08;
constexpr char prefix_byte = 0x0A;
constexpr char prefix_word = 0x0B;
constexpr char prefix_dword = 0x0C;
constexpr char prefix_string = 0x0D;
constexpr char prefix_qword = 0x0E;
constexpr char op_scope = 0x10;
constexpr char op_buffer = 0x11;
constexpr char op_package = 0x12;
constexpr char op_method = 0x14;
constexpr char prefix_dual_name = 0x2E;
constexpr char prefix_extended = 0x5B;
constexpr char op_device = '\x82';
constexpr char op_notify = '\x86';

std::string little_endian(std::uint64_t value, unsigned bytes) {
    std::string result;
    for (unsigned i = 0; i < bytes; ++i) {
        result += static_cast<char>(value >> (8 * i) & 0xFF);
    }
    return result;
}

// PkgLength counts itself (20.2.4): one byte up to 63, else the low 4 bits in the first byte.
std::string with_length(const std::string& content) {
    constexpr std::size_t one_byte_max = 63;
    if (content.size() + 1 <= one_byte_max) {
        return static_cast<char>(content.size() + 1) + content;
    }
    for (unsigned more = 1; more <= 3; ++more) {
        const std::size_t size = content.size() + 1 + more;
        if (size < 1ULL << (4 + 8 * more)) {
            return static_cast<char>(more << 6 | (size & 0xF)) + little_endian(size >> 4, more) +
                   content;
        }
    }
    SHOAL_CHECK(false);  // 256 MiB of AML
    return {};
}

}  // namespace

std::string scope(std::string_view name, const std::string& content) {
    return op_scope + with_length(std::string{name} + content);
}

std::string device(std::string_view name, const std::string& content) {
    return std::string{prefix_extended, op_device} + with_length(std::string{name} + content);
}

std::string name(std::string_view name, const std::string& value) {
    return op_name + std::string{name} + value;
}

std::string method(std::string_view name, std::uint8_t argument_count, const std::string& content) {
    constexpr std::uint8_t serialized = 1U << 3;
    return op_method + with_length(std::string{name} +
                                   static_cast<char>(argument_count | serialized) + content);
}

std::string notify(std::string_view scope_name, std::string_view name, std::uint64_t value) {
    return op_notify + std::string{'\\', prefix_dual_name} + std::string{scope_name} +
           std::string{name} + integer(value);
}

std::string integer(std::uint64_t value) {
    if (value <= 1) {
        return {value == 0 ? op_zero : op_one};
    }
    if (value <= 0xFF) {
        return prefix_byte + little_endian(value, 1);
    }
    if (value <= 0xFFFF) {
        return prefix_word + little_endian(value, 2);
    }
    if (value <= 0xFFFF'FFFF) {
        return prefix_dword + little_endian(value, 4);
    }
    return prefix_qword + little_endian(value, 8);
}

std::string text(std::string_view value) {
    return prefix_string + std::string{value} + '\0';
}

std::string package(std::span<const std::string> elements) {
    SHOAL_CHECK(elements.size() <= 0xFF);
    std::string content{static_cast<char>(elements.size())};
    for (const std::string& element : elements) {
        content += element;
    }
    return op_package + with_length(content);
}

// Three letters of 5 bits and four hexadecimal digits, big endian (19.3.4).
std::string eisa_id(std::string_view id) {
    SHOAL_CHECK(id.size() == 7);
    std::uint32_t value = 0;
    for (const char letter : id.substr(0, 3)) {
        value = value << 5 | static_cast<std::uint32_t>(letter - 'A' + 1);
    }
    value = value << 16 |
            static_cast<std::uint32_t>(std::stoul(std::string{id.substr(3)}, nullptr, 16));
    return integer(__builtin_bswap32(value));
}

std::string resources(const std::string& descriptors) {
    const std::string end_tag{'\x79', '\0'};  // checksum 0: not checked
    const std::string bytes = descriptors + end_tag;
    return op_buffer + with_length(integer(bytes.size()) + bytes);
}

std::string memory32(std::uint32_t start, std::uint32_t size_bytes) {
    const std::string head{'\x86', 9, 0, 1};  // Memory32Fixed, 9 bytes, read-write
    return head + little_endian(start, 4) + little_endian(size_bytes, 4);
}

std::string ports(std::uint16_t start, std::uint8_t count) {
    const std::string head{'\x47', 1};  // I/O port descriptor, 16-bit decode
    return head + little_endian(start, 2) + little_endian(start, 2) + char{1} +
           static_cast<char>(count);
}

std::string interrupt(std::uint32_t gsi) {
    const std::string head{'\x89', 6, 0, 0x03, 1};  // consumer, edge, one interrupt
    return head + little_endian(gsi, 4);
}

}  // namespace shoal::firmware::aml
