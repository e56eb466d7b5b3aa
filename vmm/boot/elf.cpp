// The ELF loader (System V ABI, chapter 5; AMD64 supplement).
#include "vmm/boot/elf.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "devices/abi/address_map.h"
#include "devices/abi/ready_tables.h"

namespace shoal::boot {
namespace {

namespace ready = abi::ready_tables;

constexpr std::uint16_t max_program_headers = 128;
constexpr std::uint64_t max_note_bytes = 64 * 1024;
constexpr std::uint32_t note_phys32_entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr std::uint32_t note_other_cpus = 1;
constexpr std::array<char, 4> xen_owner{'X', 'e', 'n', '\0'};
constexpr std::array<char, 6> shoal_owner{'S', 'h', 'o', 'a', 'l', '\0'};

std::string hex(std::uint64_t value) {
    std::array<char, 24> text;
    std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
    return text.data();
}

Elf64_Ehdr read_header(const ImageFile& file) {
    const auto header = file.read<Elf64_Ehdr>(0);
    if (header.e_ident[EI_CLASS] != ELFCLASS64) {
        file.fail("is a 32-bit ELF file (class " + std::to_string(header.e_ident[EI_CLASS]) +
                  "), not a 64-bit one");
    }
    if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
        file.fail("is for ELF machine " + std::to_string(header.e_machine) + ", not x86-64 (62)");
    }
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
        file.fail("is not an executable: ELF type " + std::to_string(header.e_type));
    }
    if (header.e_phentsize != sizeof(Elf64_Phdr)) {
        file.fail("has program headers of " + std::to_string(header.e_phentsize) + " bytes, not " +
                  std::to_string(sizeof(Elf64_Phdr)));
    }
    if (header.e_phnum == 0 || header.e_phnum > max_program_headers) {
        file.fail("has " + std::to_string(header.e_phnum) + " program headers; 1 to " +
                  std::to_string(max_program_headers) + " are allowed");
    }
    return header;
}

std::vector<Elf64_Phdr> read_program_headers(const ImageFile& file, const Elf64_Ehdr& header) {
    std::vector<Elf64_Phdr> headers(header.e_phnum);
    file.read(header.e_phoff, std::as_writable_bytes(std::span{headers}));
    return headers;
}

void check_segments(const machine::GuestMemory& memory, const ImageFile& file,
                    std::vector<Elf64_Phdr> segments) {
    std::ranges::sort(segments, {}, &Elf64_Phdr::p_paddr);
    std::uint64_t end = abi::kernel_start;
    for (const Elf64_Phdr& segment : segments) {
        const std::string where = "segment at " + hex(segment.p_paddr);
        if (segment.p_filesz > segment.p_memsz) {
            file.fail("has a " + where + " with " + std::to_string(segment.p_filesz) +
                      " bytes in the file but " + std::to_string(segment.p_memsz) + " in memory");
        }
        if (segment.p_paddr < abi::kernel_start) {
            file.fail("has a " + where + ", below the start of kernel memory at " +
                      hex(abi::kernel_start));
        }
        if (!memory.slice(machine::Gpa{segment.p_paddr}, segment.p_memsz)) {
            file.fail("has a " + where + " of " + std::to_string(segment.p_memsz) +
                      " bytes, outside the guest's RAM of " +
                      std::to_string(memory.size_bytes() >> 20) + " MiB");
        }
        if (segment.p_paddr < end) {
            file.fail("has a " + where + " that overlaps the one before, which ends at " +
                      hex(end));
        }
        end = segment.p_paddr + segment.p_memsz;
    }
}

// What a note is about, and its bytes.
struct Note {
    std::string_view owner;  // with its NUL
    std::uint32_t type = 0;
    std::span<const std::byte> value;
};

// Notes are a sequence of (name size, descriptor size, type, name, descriptor), padded to 4 bytes.
template <typename Visitor>
void visit_notes(const ImageFile& file, const Elf64_Phdr& notes, const Visitor& visit) {
    if (notes.p_filesz > max_note_bytes) {
        file.fail("has " + std::to_string(notes.p_filesz) + " bytes of notes; " +
                  std::to_string(max_note_bytes) + " are allowed");
    }
    std::vector<std::byte> bytes(notes.p_filesz);
    file.read(notes.p_offset, bytes);
    std::span<const std::byte> rest{bytes};
    while (rest.size() >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        std::memcpy(&note, rest.data(), sizeof note);
        rest = rest.subspan(sizeof note);
        const std::uint64_t name_size = (std::uint64_t{note.n_namesz} + 3) & ~3ULL;
        const std::uint64_t value_size = (std::uint64_t{note.n_descsz} + 3) & ~3ULL;
        if (name_size > rest.size() || value_size > rest.size() - name_size) {
            break;  // cut off: nothing more to find
        }
        // SAFETY: bytes are read as characters.
        visit(Note{{reinterpret_cast<const char*>(rest.data()), note.n_namesz},
                   note.n_type,
                   rest.subspan(name_size, note.n_descsz)});
        rest = rest.subspan(name_size + value_size);
    }
}

void take_note(const Note& note, ElfKernel& kernel) {
    if (std::ranges::equal(note.owner, xen_owner) && note.type == note_phys32_entry &&
        !kernel.pvh_entry && (note.value.size() == 4 || note.value.size() == 8)) {
        std::uint64_t entry = 0;
        std::memcpy(&entry, note.value.data(), note.value.size());
        kernel.pvh_entry = machine::Gpa{entry};
    }
    std::array<std::uint64_t, 3> words{};
    if (std::ranges::equal(note.owner, shoal_owner) && note.type == note_other_cpus &&
        !kernel.other_cpus && note.value.size() == sizeof words) {
        std::memcpy(words.data(), note.value.data(), sizeof words);
        kernel.other_cpus = {words[0], machine::Gpa{words[1]}, machine::Gpa{words[2]}};
    }
    if (std::ranges::equal(note.owner, shoal_owner) && note.type == ready::note_type &&
        !kernel.ready_tables && note.value.size() == sizeof(ready::Note)) {
        ready::Note value{};
        std::memcpy(&value, note.value.data(), sizeof value);
        kernel.ready_tables = {machine::Gpa{value.start}, value.most_bytes,
                               machine::Gpa{value.end_at}};
    }
}

bool contains(const std::vector<Elf64_Phdr>& segments, std::uint64_t address,
              std::uint64_t bytes = 1) {
    return std::ranges::any_of(segments, [=](const Elf64_Phdr& segment) {
        return address >= segment.p_paddr && segment.p_filesz >= bytes &&
               address - segment.p_paddr <= segment.p_filesz - bytes;
    });
}

void check_other_cpus(const ImageFile& file, const OtherCpus& cpus,
                      const std::vector<Elf64_Phdr>& segments) {
    if (cpus.page_tables.value() % abi::page_size != 0 ||
        !contains(segments, cpus.page_tables.value(), abi::page_size)) {
        file.fail("has page tables for other CPUs at " + hex(cpus.page_tables.value()) +
                  ", which is no page of its segments");
    }
    if (!contains(segments, cpus.count.value(), sizeof(std::uint32_t))) {
        file.fail("wants the number of CPUs at " + hex(cpus.count.value()) +
                  ", outside its segments");
    }
}

void check_ready_tables(const ImageFile& file, const ReadyTables& tables,
                        const std::vector<Elf64_Phdr>& segments) {
    const bool overlaps = std::ranges::any_of(segments, [&](const Elf64_Phdr& segment) {
        return segment.p_paddr + segment.p_memsz > tables.start.value() &&
               segment.p_paddr < tables.start.value() + tables.most_bytes;
    });
    if (tables.start.value() % abi::page_size != 0 || tables.start.value() > abi::ram_hole_start ||
        tables.most_bytes > abi::ram_hole_start || overlaps) {
        file.fail("wants ready page tables at " + hex(tables.start.value()) +
                  ", which is no page beside its segments");
    }
    if (!contains(segments, tables.end_at.value(), sizeof(std::uint64_t))) {
        file.fail("wants the end of ready page tables at " + hex(tables.end_at.value()) +
                  ", outside its segments");
    }
}

}  // namespace

bool is_elf(const ImageFile& file) {
    std::array<std::byte, SELFMAG> magic;
    if (file.size_bytes() < magic.size()) {
        return false;
    }
    file.read(0, magic);
    return std::memcmp(magic.data(), ELFMAG, SELFMAG) == 0;
}

ElfKernel load_elf(const machine::GuestMemory& memory, const ImageFile& file) {
    const Elf64_Ehdr header = read_header(file);
    ElfKernel kernel{machine::Gpa{header.e_entry}, std::nullopt, machine::Gpa{0}};
    std::vector<Elf64_Phdr> segments;
    for (const Elf64_Phdr& segment : read_program_headers(file, header)) {
        if (segment.p_type == PT_LOAD && segment.p_memsz > 0) {
            segments.push_back(segment);
        } else if (segment.p_type == PT_NOTE) {
            visit_notes(file, segment, [&](const Note& note) { take_note(note, kernel); });
        }
    }
    if (segments.empty()) {
        file.fail("has no segment to load");
    }
    check_segments(memory, file, segments);
    const std::uint64_t entry = kernel.pvh_entry.value_or(kernel.entry).value();
    if (!contains(segments, entry)) {
        file.fail("has its entry point at " + hex(entry) + ", outside its segments");
    }
    if (kernel.other_cpus) {
        check_other_cpus(file, *kernel.other_cpus, segments);
    }
    if (kernel.ready_tables) {
        check_ready_tables(file, *kernel.ready_tables, segments);
    }
    for (const Elf64_Phdr& segment : segments) {
        file.read(segment.p_offset, *memory.slice(machine::Gpa{segment.p_paddr}, segment.p_filesz));
        kernel.end = std::max(kernel.end, machine::Gpa{segment.p_paddr + segment.p_memsz});
    }
    return kernel;
}

}  // namespace shoal::boot
