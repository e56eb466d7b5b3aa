// What the kernel gives its file system, faked for tests: pages, the program's memory, the clock,
// the console and what /proc tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "guest/kernel/fs/console_file.h"
#include "guest/kernel/fs/device_files.h"
#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/file_table.h"
#include "guest/kernel/fs/proc_files.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest::fake {

// How often forget_shared_pages() was called.
extern int shared_pages_forgotten;
// How many pages allocate_page() still gives, and how many it gave that did not come back.
extern std::size_t pages_left;
extern std::uint32_t caller_pid;  // of own_credentials()
extern std::size_t pages_in_use;

// The program's memory: addresses from user_start on; everything else faults.
inline constexpr UserAddress user_start = 0x10000;
inline constexpr std::size_t user_size = 4U << 20;
[[nodiscard]] std::span<std::byte> user_bytes(UserAddress at, std::size_t size);
UserAddress put_user(UserAddress at, std::string_view bytes);
[[nodiscard]] std::string get_user(UserAddress at, std::size_t size);

// Seconds go by from look to look.
[[nodiscard]] Timestamp now();
// Bytes that count upwards.
void fill_random(std::span<std::byte> bytes);

struct Console final : ConsoleDevice {
    Result<std::size_t> write(ConsoleStream stream, std::span<const std::byte> bytes) override;
    Result<std::size_t> read(std::span<std::byte> to) override;
    bool has_input() override { return !input.empty() || input_ended; }
    WaitQueue& input_queue() override { return waiters; }
    [[nodiscard]] bool is_tty(ConsoleStream stream) const override;
    [[nodiscard]] WindowSize window_size() const override { return {50, 132}; }

    std::string output;
    std::string errors;
    std::string input;
    bool input_ended = true;
    std::uint32_t ttys = 0;
    std::size_t write_limit = 1U << 30;  // bytes taken by one write
    WaitQueue waiters;
};

struct Source final : ProcSource {
    [[nodiscard]] std::uint32_t pid() const override { return subject; }
    [[nodiscard]] std::uint32_t cpu_count() const override { return 2; }
    [[nodiscard]] EntryRef executable() const override { return the_executable; }
    [[nodiscard]] EntryRef working_directory() const override { return {}; }
    [[nodiscard]] FileTable& files() const override { return table; }
    void write_arguments(Text& to) const override { to.add({"init\0-x\0", 8}); }
    bool look_at(std::uint32_t pid) override {
        subject = pid == 0 ? 1 : pid;
        return subject == 1 || subject == other_pid;
    }
    [[nodiscard]] std::uint32_t parent_pid() const override { return subject - 1; }
    [[nodiscard]] std::uint32_t group() const override { return subject; }
    [[nodiscard]] std::uint32_t session() const override { return 1; }
    [[nodiscard]] std::uint32_t thread_count() const override { return 1; }
    [[nodiscard]] char state() const override { return subject == 1 ? 'R' : other_state; }
    std::uint32_t subject = 1;
    std::uint32_t other_pid = 0;  // of a second process
    char other_state = 'S';
    void write_environment(Text& to) const override { to.add({"A=1\0", 4}); }
    void write_auxiliary_vector(Text& to) const override { to.add("auxv"); }
    void write_name_servers(Text& to) const override { to.add("nameserver 10.0.0.1\n"); }
    void write_maps(Text& to) const override { to.add("maps\n"); }
    [[nodiscard]] std::uint64_t memory_total_bytes() const override { return 128U << 20; }
    [[nodiscard]] std::uint64_t memory_free_bytes() const override { return 100U << 20; }
    [[nodiscard]] std::uint64_t process_memory_bytes() const override { return 8192; }
    [[nodiscard]] std::uint64_t resident_memory_bytes() const override { return 4096; }
    [[nodiscard]] std::uint64_t uptime_ms() const override { return 12345; }
    [[nodiscard]] std::uint64_t cpu_time_ms() const override { return 2340; }
    [[nodiscard]] std::uint64_t children_time_ms() const override { return 450; }
    [[nodiscard]] std::uint64_t busy_ms(std::uint32_t cpu) const override { return 3000 + cpu; }
    [[nodiscard]] std::uint64_t tsc_khz() const override { return 2'000'500; }
    [[nodiscard]] std::string_view release() const override { return "6.1.0-shoal"; }
    [[nodiscard]] std::string_view version() const override { return "#1"; }

    mutable FileTable table;
    EntryRef the_executable;
};

// A file system with /dev and /proc, and open standard streams.
struct Kernel {
    Kernel();

    Console console;
    FileSystem files{now};
    Source source;
    Devices devices{files, console, fill_random};
};

// The whole content, as the kernel reads it.
[[nodiscard]] std::string content_of(const Inode& inode);
[[nodiscard]] std::string content_of(const FileSystem& files, std::string_view path);
// Makes a file, or gives the one that is there new content.
EntryRef put_file(FileSystem& files, std::string_view path, std::string_view content);
// Opens and reads to the end; "errno N" when that fails.
[[nodiscard]] std::string read_all(const FileSystem& files, std::string_view path);
// Everything in it but "." and "..", in order, with a blank after each.
[[nodiscard]] std::string names_in(const FileSystem& files, std::string_view path);

}  // namespace shoal::guest::fake
