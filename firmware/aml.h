// AML: the few encodings of ACPI's machine language that our one table needs.
//
// Source: ACPI 6.4, chapter 20 (encoding) and 6.4 (resource descriptors). Every function returns
// bytes; nesting the calls nests the objects.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace shoal::firmware::aml {

// `name` is a NameSeg of 4 characters, or a path such as "\\_SB_".
[[nodiscard]] std::string scope(std::string_view name, const std::string& content);
[[nodiscard]] std::string device(std::string_view name, const std::string& content);
[[nodiscard]] std::string name(std::string_view name, const std::string& value);

// Of at most 7 arguments; one call at a time.
[[nodiscard]] std::string method(std::string_view name, std::uint8_t argument_count,
                                 const std::string& content);
// Tells the device \scope_name.name, both of 4 characters.
[[nodiscard]] std::string notify(std::string_view scope_name, std::string_view name,
                                 std::uint64_t value);

[[nodiscard]] std::string integer(std::uint64_t value);
[[nodiscard]] std::string text(std::string_view value);
// At most 255 elements, each encoded already.
[[nodiscard]] std::string package(std::span<const std::string> elements);
// "PNP0501" as a compressed EISA id.
[[nodiscard]] std::string eisa_id(std::string_view id);

// A buffer of resource descriptors, closed with its end tag.
[[nodiscard]] std::string resources(const std::string& descriptors);
[[nodiscard]] std::string memory32(std::uint32_t start, std::uint32_t size_bytes);
[[nodiscard]] std::string ports(std::uint16_t start, std::uint8_t count);
// Edge-triggered, active high, exclusive.
[[nodiscard]] std::string interrupt(std::uint32_t gsi);

}  // namespace shoal::firmware::aml
