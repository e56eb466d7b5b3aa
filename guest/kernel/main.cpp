// The kernel's first and last steps: from hvm_start_info to the program's first instruction.
#include <array>
#include <new>

#include "devices/abi/address_map.h"
#include "guest/drivers/virtio_balloon.h"
#include "guest/drivers/virtio_entropy.h"
#include "guest/kernel/boot_info.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/console.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/disks.h"
#include "guest/kernel/fs/gzip.h"
#include "guest/kernel/fs/initramfs.h"
#include "guest/kernel/generation.h"
#include "guest/kernel/message.h"
#include "guest/kernel/name_servers.h"
#include "guest/kernel/net/vsock_transport.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/proc_source.h"
#include "guest/kernel/process.h"
#include "guest/kernel/program.h"
#include "guest/kernel/random.h"
#include "guest/kernel/ready_tables.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/script.h"
#include "guest/net/net.h"

namespace shoal::guest {
namespace {

constexpr int exit_not_executable = 126;  // as shells have them
constexpr int exit_not_found = 127;
constexpr std::uint64_t msr_fs_base = 0xC000'0100;

Timestamp now() {
    const std::uint64_t ns = realtime_ns();
    return {static_cast<std::int64_t>(ns / nanoseconds_per_second),
            static_cast<std::uint32_t>(ns % nanoseconds_per_second)};
}

// Objects that live as long as the microVM, made in order and never destroyed.
template <typename T>
T& make_forever(auto&&... arguments) {
    return *new T(std::forward<decltype(arguments)>(arguments)...);
}

[[noreturn]] void fail_boot(std::string_view what, std::string_view which, int code) {
    Message text;
    text << "shoal: " << what << which << "\n";
    print_message(text.view());
    exit_process(code);
}

void* allocate_archive(std::size_t size_bytes) {
    return physical_memory.allocate_contiguous((size_bytes + page_size - 1) / page_size);
}

std::span<const std::byte> inflate_if_needed(std::span<const std::byte> archive) {
    if (!is_gzip(archive)) {
        return archive;
    }
    // libz is built with the stack protector, which reads its canary at FS base + 40.
    static constinit std::array<std::uint64_t, 8> canary{};
    shoal_nub_call(NUB_WRITE_MSR, msr_fs_base, reinterpret_cast<std::uint64_t>(canary.data()));
    const auto inflated = inflate_gzip(archive, allocate_archive);
    shoal_nub_call(NUB_WRITE_MSR, msr_fs_base, 0);
    if (!inflated) {
        fail_boot("the initramfs cannot be decompressed: ", inflated.error().reason,
                  exit_not_found);
    }
    return *inflated;
}

// NUL-terminated strings of one of the files that `shoal run` leaves in the initramfs for what a
// kernel command line cannot carry.
std::vector<std::string_view> take_strings(const FileSystem& files, std::string_view path,
                                           std::vector<std::string_view> otherwise) {
    const auto bytes = files.initramfs_bytes(path);
    if (!bytes) {
        return otherwise;
    }
    std::vector<std::string_view> strings;
    std::string_view rest{reinterpret_cast<const char*>(bytes->data()), bytes->size()};
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\0'), rest.size());
        strings.push_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return strings;
}

// Before anything asks for random bytes.
void seed_random(std::span<const VirtioMmioDevice> virtio_devices) {
    for (const VirtioMmioDevice& found : virtio_devices) {
        if (found.device_id == abi::virtio::device_id::entropy) {
            std::array<std::byte, 32> seed;  // as many as the generator's key has
            add_entropy(std::span{seed}.first(read_entropy(found.place, seed)));
        }
    }
}

// Tells the VMM that the program is about to run.
void mark_start() {
    auto* timer =
        static_cast<volatile std::uint8_t*>(map_kernel_ram(abi::boot_timer_start, page_size));
    *timer = abi::boot_timer_magic;
}

// The folders in which programs are looked up.
std::string_view search_path(const std::vector<std::string_view>& environment) {
    constexpr std::string_view key = "PATH=";
    for (const std::string_view assignment : environment) {
        if (assignment.starts_with(key)) {
            return assignment.substr(key.size());
        }
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// The path of a program; a name without a slash is looked up in `folders`. Empty: not there.
std::string_view find_program(const FileSystem& files, std::string_view folders,
                              std::string_view name) {
    if (name.find('/') != std::string_view::npos) {
        return files.find(name) ? name : std::string_view{};
    }
    while (!folders.empty()) {
        const std::size_t end = std::min(folders.find(':'), folders.size());
        Message path;
        path << folders.substr(0, end) << "/" << name;
        if (files.find(path.view())) {
            return make_forever<Message>(path).view();
        }
        folders.remove_prefix(std::min(end + 1, folders.size()));
    }
    return {};
}

// Where the program starts.
EntryRef find_working_directory(const FileSystem& files, std::string_view path) {
    auto directory = files.find(path);
    if (!directory || (*directory)->inode().type() != FileType::directory) {
        fail_boot("there is no folder to start in: ", path, exit_not_found);
    }
    return std::move(*directory);
}

[[noreturn]] void fail_load(Errno error, std::string_view path) {
    switch (error) {
        case Errno::noent:
            fail_boot("the dynamic linker or interpreter that it names is not in the initramfs: ",
                      path, exit_not_executable);
        case Errno::libbad:
            fail_boot("its dynamic linker is no x86-64 ELF file: ", path, exit_not_executable);
        default:
            fail_boot("not an x86-64 Linux program, or it does not fit the memory: ", path,
                      exit_not_executable);
    }
}

Registers load(const CommandLine& command_line) {
    Process& self = process();
    const std::string_view path =
        find_program(self.files.file_system, search_path(self.environment), command_line.init);
    if (path.empty()) {
        fail_boot("no such program: ", command_line.init, exit_not_found);
    }
    const auto& invocation = make_forever<Result<Invocation>>(
        resolve_script(self.files.file_system, path, self.arguments));
    if (!invocation) {
        fail_load(invocation.error(), path);
    }
    self.executable = invocation->executable;
    self.arguments = invocation->arguments;
    const auto program = load_program(*self.memory, self.files.file_system, self.executable);
    if (!program) {
        fail_load(program.error(), path);
    }
    const auto registers =
        make_initial_stack(*self.memory, *program, {self.arguments, self.environment, path});
    if (!registers) {
        fail_boot("arguments and environment are larger than 1 MiB", {}, exit_not_executable);
    }
    return *registers;
}

void start(std::uint64_t start_info) {
    asm volatile("fninit");
    const BootInfo boot = read_boot_info(start_info);
    ready_tables.look();
    const auto& command_line = make_forever<CommandLine>(parse_command_line(boot.command_line));
    const auto virtio_devices = find_virtio_mmio(command_line.virtio_mmio);
    ConsoleDevice& device = start_console(command_line, virtio_devices);
    net::configure(command_line, virtio_devices);
    configure_vsock(virtio_devices);
    start_balloon(virtio_devices);

    CloneSource* const clones = start_generation();
    auto& file_system = make_forever<FileSystem>(now);
    auto& table = make_forever<FileTable>();
    auto& devices = make_forever<Devices>(file_system, device, fill_random);
    if (clones != nullptr) {
        devices.set_clone_source(*clones);
    }
    auto& proc = make_forever<KernelProcSource>();
    make_first_process({file_system, table, proc, EntryRef{}});
    Process& self = process();
    self.tracing = command_line.trace_syscalls == Asked::yes ? Tracing::on : Tracing::off;

    seed_random(virtio_devices);
    const std::vector<BlockDevice*> disks = start_disks(virtio_devices);
    for (BlockDevice* disk : disks) {
        devices.add_disk(*disk);
    }
    if (wants_root(command_line, boot.initramfs.empty() ? Initramfs::absent : Initramfs::present)) {
        const auto mounted = mount_root(command_line, disks, file_system, devices);
        if (!mounted) {
            fail_boot("the root file system cannot be mounted: ", mounted.error(), exit_not_found);
        }
    }
    self.files.working_directory = EntryRef{&file_system.root()};

    const auto unpacked = unpack_initramfs(file_system, devices, inflate_if_needed(boot.initramfs));
    if (!unpacked) {
        fail_boot("the initramfs is damaged: ", unpacked.error().reason, exit_not_found);
    }
    self.arguments = take_strings(file_system, "/.shoal/args", {});
    self.environment = take_strings(file_system, "/.shoal/env", command_line.environment);
    if (self.arguments.empty()) {
        self.arguments = command_line.arguments;
        self.arguments.insert(self.arguments.begin(), command_line.init);
    }
    const auto start_folder = take_strings(file_system, "/.shoal/cwd", {"/"});
    file_system.remove_tree("/.shoal");
    if (!devices.populate() || !populate_proc(file_system, proc) ||
        !file_system.ensure_directory("/tmp") || !devices.open_standard_streams(table)) {
        panic("out of memory at boot");
    }
    provide_name_servers(file_system, command_line);
    if (!start_folder.empty()) {
        self.files.working_directory = find_working_directory(file_system, start_folder.front());
    }
    show_processes(proc);
    current_thread().registers() = load(command_line);
    if (command_line.boot_timer == Asked::yes) {
        mark_start();
    }
    shoal_resume();
}

}  // namespace
}  // namespace shoal::guest

extern "C" [[noreturn]] void shoal_kernel_main(std::uint64_t start_info) {
    shoal::guest::start(start_info & 0xFFFF'FFFF);
    __builtin_unreachable();
}
