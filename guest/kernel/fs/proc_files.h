// /proc: files about the process and the machine, written when they are read from their start.
#pragma once

#include <string_view>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/file_table.h"
#include "guest/kernel/fs/text.h"

namespace shoal::guest {

// What the kernel knows and /proc tells. Implemented by the kernel.
class ProcSource {
public:
    // Which process the answers are about from now on; 0: the caller. False when there is none.
    [[nodiscard]] virtual bool look_at(std::uint32_t pid) = 0;

    [[nodiscard]] virtual std::uint32_t pid() const = 0;
    [[nodiscard]] virtual std::uint32_t parent_pid() const = 0;
    [[nodiscard]] virtual std::uint32_t group() const = 0;
    [[nodiscard]] virtual std::uint32_t session() const = 0;
    [[nodiscard]] virtual std::uint32_t thread_count() const = 0;
    // R: the caller; Z: it has ended, and has neither files nor memory; S: any other.
    [[nodiscard]] virtual char state() const = 0;
    [[nodiscard]] virtual std::uint32_t cpu_count() const = 0;
    [[nodiscard]] virtual EntryRef executable() const = 0;  // empty before there is one
    [[nodiscard]] virtual EntryRef working_directory() const = 0;
    [[nodiscard]] virtual FileTable& files() const = 0;
    // All strings in a row, each with its NUL.
    virtual void write_arguments(Text& to) const = 0;
    virtual void write_environment(Text& to) const = 0;
    virtual void write_auxiliary_vector(Text& to) const = 0;
    // Lines as in proc(5), /proc/pid/maps.
    virtual void write_maps(Text& to) const = 0;
    // Lines as in resolv.conf(5).
    virtual void write_name_servers(Text& to) const = 0;
    [[nodiscard]] virtual std::uint64_t memory_total_bytes() const = 0;
    [[nodiscard]] virtual std::uint64_t memory_free_bytes() const = 0;
    [[nodiscard]] virtual std::uint64_t process_memory_bytes() const = 0;  // of addresses
    [[nodiscard]] virtual std::uint64_t resident_memory_bytes() const = 0;
    [[nodiscard]] virtual std::uint64_t uptime_ms() const = 0;
    // How long the process computed, those of its children that it waited for, and a CPU.
    [[nodiscard]] virtual std::uint64_t cpu_time_ms() const = 0;
    [[nodiscard]] virtual std::uint64_t children_time_ms() const = 0;
    [[nodiscard]] virtual std::uint64_t busy_ms(std::uint32_t cpu) const = 0;
    [[nodiscard]] virtual std::uint64_t tsc_khz() const = 0;
    // As uname(2) has them.
    [[nodiscard]] virtual std::string_view release() const = 0;
    [[nodiscard]] virtual std::string_view version() const = 0;

protected:
    ~ProcSource() = default;
};

// Makes /proc with its files; names that exist are left alone. Borrows the source for ever.
[[nodiscard]] Result<void> populate_proc(FileSystem& file_system, ProcSource& source);

// The folder of a process, which populate_proc() makes for the caller. Errno::nomem.
[[nodiscard]] Result<void> add_proc_process(FileSystem& file_system, ProcSource& source,
                                            std::uint32_t pid);
void remove_proc_process(FileSystem& file_system, std::uint32_t pid);

}  // namespace shoal::guest
