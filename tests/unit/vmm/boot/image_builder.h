// Hand-made kernel images in a memfd, for the loaders to be tried on.
#pragma once

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "devices/abi/ready_tables.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::boot::testing {

// A file that exists as long as this object.
class MemoryFile {
public:
    explicit MemoryFile(const std::string& content)
        : fd_{host::check_os(::memfd_create("test", MFD_CLOEXEC), "memfd_create")} {
        host::check_os(::write(fd_.get(), content.data(), content.size()), "write");
    }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

private:
    host::UniqueFd fd_;
};

template <typename T>
void append(std::string& to, const T& value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// An ELF kernel: set what should be different, then bytes().
struct ElfImage {
    Elf64_Ehdr header{};
    std::vector<Elf64_Phdr> segments;
    std::string notes;    // of a PT_NOTE segment, if not empty
    std::string content;  // behind the headers

    // One segment of `content` at `start`, entered at its first byte.
    explicit ElfImage(std::uint64_t start, std::string code = "code") : content{std::move(code)} {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = ET_EXEC;
        header.e_machine = EM_X86_64;
        header.e_phoff = sizeof header;
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_entry = start;
        add_segment(start, content.size(), content.size());
    }

    void add_segment(std::uint64_t start, std::uint64_t file_bytes, std::uint64_t memory_bytes) {
        Elf64_Phdr segment{};
        segment.p_type = PT_LOAD;
        segment.p_paddr = start;
        segment.p_filesz = file_bytes;
        segment.p_memsz = memory_bytes;
        segments.push_back(segment);
    }

    void add_pvh_note(std::uint64_t entry) {
        append(notes, Elf64_Nhdr{4, sizeof entry, 18});
        notes.append("Xen", 4);
        append(notes, entry);
    }

    void add_cpus_note(std::uint64_t entry, std::uint64_t page_tables, std::uint64_t count) {
        append(notes, Elf64_Nhdr{6, 3 * sizeof entry, 1});
        notes.append("Shoal\0\0", 8);
        append(notes, entry);
        append(notes, page_tables);
        append(notes, count);
    }

    void add_ready_tables_note(const abi::ready_tables::Note& note) {
        append(notes, Elf64_Nhdr{6, sizeof note, abi::ready_tables::note_type});
        notes.append("Shoal\0\0", 8);
        append(notes, note);
    }

    [[nodiscard]] std::string bytes() const {
        Elf64_Ehdr out = header;
        const std::size_t count = segments.size() + (notes.empty() ? 0 : 1);
        if (out.e_phnum == 0) {
            out.e_phnum = static_cast<Elf64_Half>(count);
        }
        const std::uint64_t data = sizeof out + count * sizeof(Elf64_Phdr);
        std::string result;
        append(result, out);
        for (Elf64_Phdr segment : segments) {
            segment.p_offset = data;
            append(result, segment);
        }
        if (!notes.empty()) {
            Elf64_Phdr segment{};
            segment.p_type = PT_NOTE;
            segment.p_offset = data + content.size();
            segment.p_filesz = notes.size();
            append(result, segment);
        }
        return result + content + notes;
    }
};

}  // namespace shoal::boot::testing
