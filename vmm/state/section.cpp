// Header, sections and their checksums.
#include "vmm/state/section.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "devices/host/check.h"
#include "devices/host/crc32c.h"

namespace shoal::state {
namespace {

constexpr std::string_view magic = "SHOALST\n";
constexpr std::uint32_t layout_version = 1;
constexpr std::size_t header_bytes = 28;
constexpr std::size_t name_bytes = 16;
constexpr std::uint16_t section_version = 1;  // of every section, so far
constexpr std::uint32_t max_sections = 1024;

std::string name_of(std::span<const std::byte> bytes) {
    std::string name(bytes.size(), '\0');
    std::memcpy(name.data(), bytes.data(), bytes.size());
    name.resize(std::min(name.find('\0'), name.size()));
    return name;
}

}  // namespace

std::string version_text() {
    return "v" + std::to_string(layout_version) + ".0.0";
}

void SectionWriter::add_payload(SectionId id, Requirement requirement,
                                std::span<const std::byte> payload) {
    SHOAL_CHECK(id.name.size() <= name_bytes);
    std::array<char, name_bytes> name{};
    std::ranges::copy(id.name, name.begin());
    Encoder head;
    head.write(name);
    head.write(id.instance);
    head.write(section_version);
    head.write(static_cast<std::uint16_t>(requirement));
    head.write(static_cast<std::uint32_t>(payload.size()));
    head.write(host::crc32c(head.bytes(), payload));
    sections_.write_bytes(head.bytes());
    sections_.write_bytes(payload);
    ++count_;
}

std::vector<std::byte> SectionWriter::finish() const {
    Encoder file;
    file.write_bytes(std::as_bytes(std::span{magic}));
    file.write(layout_version);
    file.write(count_);
    file.write(std::uint64_t{header_bytes + sections_.bytes().size()});
    file.write(host::crc32c(file.bytes()));
    file.write_bytes(sections_.bytes());
    return std::move(file).take_bytes();
}

SectionReader::SectionReader(std::span<const std::byte> file) {
    Decoder decoder{file, "the state file"};
    const auto header = file.first(std::min(file.size(), header_bytes - sizeof(std::uint32_t)));
    if (!std::ranges::equal(decoder.read_bytes(magic.size()), std::as_bytes(std::span{magic}))) {
        decoder.fail("is no state of a Shoal microVM");
    }
    std::uint32_t version = 0;
    std::uint32_t count = 0;
    std::uint64_t size_bytes = 0;
    std::uint32_t checksum = 0;
    decoder.read(version);
    decoder.read(count);
    decoder.read(size_bytes);
    decoder.read(checksum);
    if (checksum != host::crc32c(header)) {
        decoder.fail("is damaged: its header's checksum is wrong");
    }
    if (version != layout_version) {
        decoder.fail("has layout version " + std::to_string(version) + ", known here is " +
                     std::to_string(layout_version));
    }
    if (size_bytes != file.size() || count > max_sections) {
        decoder.fail("is damaged: it has " + std::to_string(file.size()) + " bytes instead of " +
                     std::to_string(size_bytes));
    }
    for (std::uint32_t idx = 0; idx < count; ++idx) {
        read_section(decoder);
    }
    if (decoder.bytes_left() != 0) {
        decoder.fail("is longer than its sections");
    }
}

void SectionReader::read_section(Decoder& file) {
    const auto head = file.read_bytes(name_bytes + 3 * sizeof(std::uint32_t));
    Decoder fields{head, "a section"};
    const std::string name = name_of(fields.read_bytes(name_bytes));
    std::uint32_t instance = 0;
    std::uint16_t version = 0;
    std::uint16_t requirement = 0;
    std::uint32_t payload_bytes = 0;
    std::uint32_t checksum = 0;
    fields.read(instance);
    fields.read(version);
    fields.read(requirement);
    fields.read(payload_bytes);
    file.read(checksum);
    const auto payload = file.read_bytes(payload_bytes);
    if (checksum != host::crc32c(head, payload)) {
        file.fail("is damaged: the checksum of a section is wrong");
    }
    if (requirement > static_cast<std::uint16_t>(Requirement::required)) {
        file.fail("has a section " + name + " of unknown flags");
    }
    const Section section{static_cast<Requirement>(requirement), version, payload};
    if (!sections_.try_emplace({name, instance}, section).second) {
        file.fail("has the section " + name + " twice");
    }
}

bool SectionReader::has(SectionId id) const {
    const auto found = sections_.find({std::string{id.name}, id.instance});
    return found != sections_.end() && (found->second.version == section_version ||
                                        found->second.requirement == Requirement::required);
}

std::span<const std::byte> SectionReader::take_payload(SectionId id) {
    const auto found = sections_.find({std::string{id.name}, id.instance});
    if (found == sections_.end()) {
        throw StateError("the state file has no section " + std::string{id.name});
    }
    if (found->second.version != section_version) {
        throw StateError("the state file has version " + std::to_string(found->second.version) +
                         " of the section " + found->first.first + ", known here is " +
                         std::to_string(section_version));
    }
    const auto payload = found->second.payload;
    sections_.erase(found);
    return payload;
}

void SectionReader::refuse_the_rest() const {
    for (const auto& [key, section] : sections_) {
        if (section.requirement == Requirement::required) {
            throw StateError("the state file has a section " + key.first +
                             " that is unknown here and must not be left out");
        }
    }
}

}  // namespace shoal::state
