// System calls on descriptors: dup, fcntl, ioctl.
#include "guest/kernel/fs/block_device.h"
#include "guest/kernel/fs/console_file.h"
#include "guest/kernel/fs/pipe.h"
#include "guest/kernel/net/families.h"
#include "guest/kernel/syscalls/files_locks.h"
#include "guest/kernel/syscalls/files_support.h"
#include "guest/kernel/syscalls/sockets_support.h"

namespace shoal::guest {

using namespace files;

namespace {

std::int64_t duplicate(FileContext& context, std::uint64_t descriptor, std::uint64_t lowest,
                       OnExec on_exec) {
    if (lowest >= context.table.open_limit()) {
        return negative(Errno::inval);
    }
    OpenFileRef file{context.table.find(descriptor)};
    return result_of(context.table.add(std::move(file), on_exec, low32(lowest)));
}

std::int64_t duplicate_as(FileContext& context, std::uint64_t descriptor, std::uint64_t as,
                          OnExec on_exec) {
    OpenFileRef file{context.table.find(descriptor)};
    if (!file) {
        return negative(Errno::badf);
    }
    return result_of(context.table.put(low32(as), std::move(file), on_exec));
}

// fcntl commands (<asm-generic/fcntl.h>, <linux/fcntl.h>).
enum class Command : std::uint32_t {
    duplicate = 0,
    get_descriptor_flags = 1,
    set_descriptor_flags = 2,
    get_status_flags = 3,
    set_status_flags = 4,
    get_lock = 5,
    set_lock = 6,
    set_lock_wait = 7,
    set_owner = 8,
    get_owner = 9,
    get_ofd_lock = 36,
    set_ofd_lock = 37,
    set_ofd_lock_wait = 38,
    duplicate_close_on_exec = 1030,
    set_pipe_size = 1031,
    get_pipe_size = 1032,
};

constexpr std::uint64_t close_on_exec_bit = 1;  // FD_CLOEXEC

bool works_on_path(Command command) {
    return command == Command::duplicate || command == Command::duplicate_close_on_exec ||
           command == Command::get_descriptor_flags || command == Command::set_descriptor_flags ||
           command == Command::get_status_flags;
}

std::int64_t pipe_size(Inode& inode, Command command, std::uint32_t wanted) {
    Pipe* pipe = inode.as_pipe();
    if (pipe == nullptr) {  // a standard stream of the console shows itself as a pipe
        return inode.type() == FileType::fifo ? std::int64_t{Pipe::default_capacity}
                                              : negative(Errno::badf);
    }
    if (command == Command::set_pipe_size) {
        if (const auto set = pipe->set_capacity(wanted); !set) {
            return negative(set.error());
        }
    }
    return static_cast<std::int64_t>(pipe->capacity());
}

}  // namespace

std::int64_t sys_dup(FileContext& context, const CallArguments& args) {
    return context.table.find(args[0]) == nullptr ? negative(Errno::badf)
                                                  : duplicate(context, args[0], 0, OnExec::keep);
}

std::int64_t sys_dup2(FileContext& context, const CallArguments& args) {
    if (low32(args[0]) == low32(args[1])) {
        return context.table.find(args[0]) == nullptr ? negative(Errno::badf)
                                                      : std::int64_t{low32(args[1])};
    }
    return duplicate_as(context, args[0], args[1], OnExec::keep);
}

std::int64_t sys_dup3(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[2]);
    if (low32(args[0]) == low32(args[1]) || (flags & ~open_flags::close_on_exec) != 0) {
        return negative(Errno::inval);
    }
    return duplicate_as(context, args[0], args[1], flags != 0 ? OnExec::close : OnExec::keep);
}

std::int64_t sys_fcntl(FileContext& context, const CallArguments& args) {
    OpenFile* file = context.table.find(args[0]);
    const auto command = static_cast<Command>(low32(args[1]));
    if (file == nullptr || (file->has(open_flags::path) && !works_on_path(command))) {
        return negative(Errno::badf);
    }
    switch (command) {
        case Command::duplicate:
            return duplicate(context, args[0], args[2], OnExec::keep);
        case Command::duplicate_close_on_exec:
            return duplicate(context, args[0], args[2], OnExec::close);
        case Command::get_descriptor_flags:
            return context.table.on_exec(args[0]) == OnExec::close ? 1 : 0;
        case Command::set_descriptor_flags:
            context.table.set_on_exec(
                args[0], (args[2] & close_on_exec_bit) != 0 ? OnExec::close : OnExec::keep);
            return 0;
        case Command::get_status_flags:
            return file->flags;
        case Command::set_status_flags:
            file->flags =
                (file->flags & ~open_flags::changeable) | (low32(args[2]) & open_flags::changeable);
            return 0;
        case Command::get_lock:
            return find_lock(context, *file, args[2], LockOwner::process);
        case Command::get_ofd_lock:
            return find_lock(context, *file, args[2], LockOwner::open_file);
        case Command::set_lock:
            return set_lock(context, *file, args[2], LockOwner::process, LockWait::no);
        case Command::set_lock_wait:
            return set_lock(context, *file, args[2], LockOwner::process, LockWait::yes);
        case Command::set_ofd_lock:
            return set_lock(context, *file, args[2], LockOwner::open_file, LockWait::no);
        case Command::set_ofd_lock_wait:
            return set_lock(context, *file, args[2], LockOwner::open_file, LockWait::yes);
        case Command::set_owner:
        case Command::get_owner:
            return 0;
        case Command::set_pipe_size:
        case Command::get_pipe_size:
            return pipe_size(file->inode(), command, low32(args[2]));
    }
    return negative(Errno::inval);
}

namespace {

// ioctl requests (<asm-generic/ioctls.h>).
enum class Request : std::uint32_t {
    get_settings = 0x5401,         // TCGETS
    set_settings = 0x5402,         // TCSETS
    set_settings_wait = 0x5403,    // TCSETSW
    set_settings_flush = 0x5404,   // TCSETSF
    send_break = 0x5409,           // TCSBRK
    flow_control = 0x540A,         // TCXONC
    flush = 0x540B,                // TCFLSH
    set_controlling = 0x540E,      // TIOCSCTTY
    get_process_group = 0x540F,    // TIOCGPGRP
    set_process_group = 0x5410,    // TIOCSPGRP
    output_waiting = 0x5411,       // TIOCOUTQ, SIOCOUTQ
    get_window_size = 0x5413,      // TIOCGWINSZ
    set_window_size = 0x5414,      // TIOCSWINSZ
    input_waiting = 0x541B,        // FIONREAD
    set_nonblock = 0x5421,         // FIONBIO
    get_session = 0x5429,          // TIOCGSID
    clear_close_on_exec = 0x5450,  // FIONCLEX
    set_close_on_exec = 0x5451,    // FIOCLEX
    set_async = 0x5452,            // FIOASYNC
    // Of disks (<linux/fs.h>).
    get_read_only = 0x125E,       // BLKROGET
    get_size_sectors = 0x1260,    // BLKGETSIZE
    flush_buffers = 0x1261,       // BLKFLSBUF
    get_sector_size = 0x1268,     // BLKSSZGET
    get_size_bytes = 0x80081272,  // BLKGETSIZE64
    get_physical_block = 0x127B,  // BLKPBSZGET
    get_local_cid = 0x7B9,        // IOCTL_VM_SOCKETS_GET_LOCAL_CID (<linux/vm_sockets.h>)
};

// struct winsize.
struct UserWindowSize {
    std::uint16_t rows;
    std::uint16_t columns;
    std::uint16_t width_pixels;
    std::uint16_t height_pixels;
};

std::int64_t terminal_request(const FileContext& context, ConsoleFile& console, Request request,
                              UserAddress argument) {
    if (request == Request::get_settings) {
        return store(argument, console.settings);
    }
    if (request == Request::set_settings || request == Request::set_settings_wait ||
        request == Request::set_settings_flush) {
        struct termios settings;
        if (!fetch(settings, argument)) {
            return negative(Errno::fault);
        }
        console.settings = settings;
        return 0;
    }
    if (request == Request::get_window_size) {
        const WindowSize size = console.device().window_size();
        return store(argument, UserWindowSize{size.rows, size.columns, 0, 0});
    }
    if (request == Request::get_process_group || request == Request::get_session) {
        return store(argument, context.source.pid());
    }
    if (request == Request::output_waiting) {
        return store(argument, std::uint32_t{0});
    }
    const bool is_accepted = request == Request::send_break || request == Request::flow_control ||
                             request == Request::flush || request == Request::set_controlling ||
                             request == Request::set_process_group ||
                             request == Request::set_window_size;
    return is_accepted ? 0 : negative(Errno::notty);
}

std::int64_t disk_request(Inode& inode, Request request, UserAddress argument) {
    const BlockDevice& disk = *inode.as_disk();
    if (request == Request::get_size_bytes) {
        return store(argument, disk.size_bytes());
    }
    if (request == Request::get_size_sectors) {
        return store(argument, disk.size_bytes() / BlockDevice::sector_bytes);
    }
    if (request == Request::get_sector_size || request == Request::get_physical_block) {
        return store(argument, static_cast<std::uint32_t>(BlockDevice::sector_bytes));
    }
    if (request == Request::get_read_only) {
        const bool is_read_only = disk.access() == BlockDevice::Access::read_only;
        return store(argument, std::uint32_t{is_read_only ? 1U : 0U});
    }
    return request == Request::flush_buffers ? result_of(inode.sync()) : negative(Errno::notty);
}

Result<std::uint32_t> waiting_bytes(const OpenFile& file) {
    Inode& inode = file.inode();
    if (inode.type() == FileType::regular) {
        const std::uint64_t size = inode.size();
        return static_cast<std::uint32_t>(size > file.position ? size - file.position : 0);
    }
    if (inode.as_console() != nullptr) {
        return std::uint32_t{inode.as_console()->device().has_input() ? 1U : 0U};
    }
    if (inode.type() == FileType::fifo || inode.type() == FileType::socket) {
        return static_cast<std::uint32_t>(inode.waiting_bytes());
    }
    return fail(Errno::notty);
}

// Sets the flag or clears it, as the number at `from` says.
std::int64_t set_flag(OpenFile& file, std::uint32_t flag, UserAddress from) {
    std::uint32_t value = 0;
    if (!fetch(value, from)) {
        return negative(Errno::fault);
    }
    file.flags = (file.flags & ~flag) | (value != 0 ? flag : 0);
    return 0;
}

// Where O_ASYNC may be set: it is kept, and nobody is sent a SIGIO.
bool tells_by_signal(Inode& inode) {
    return inode.as_socket() != nullptr || inode.as_pipe() != nullptr ||
           inode.as_console() != nullptr;
}

}  // namespace

std::int64_t sys_ioctl(FileContext& context, const CallArguments& args) {
    OpenFile* file = context.table.find(args[0]);
    if (file == nullptr || file->has(open_flags::path)) {
        return negative(Errno::badf);
    }
    const auto request = static_cast<Request>(low32(args[1]));
    if (request == Request::set_close_on_exec || request == Request::clear_close_on_exec) {
        context.table.set_on_exec(
            args[0], request == Request::set_close_on_exec ? OnExec::close : OnExec::keep);
        return 0;
    }
    if (request == Request::set_nonblock) {
        return set_flag(*file, open_flags::nonblock, args[2]);
    }
    if (request == Request::set_async && tells_by_signal(file->inode())) {
        return set_flag(*file, open_flags::async, args[2]);
    }
    if (request == Request::input_waiting) {
        const auto waiting = waiting_bytes(*file);
        return waiting ? store(args[2], *waiting) : negative(waiting.error());
    }
    if (file->inode().as_disk() != nullptr) {
        const OpenFileRef held{file};  // flushing lets others run
        return disk_request(file->inode(), request, args[2]);
    }
    if (const Socket* socket = file->inode().as_socket()) {
        if (request == Request::output_waiting) {
            return store(args[2], static_cast<std::uint32_t>(socket->outgoing_bytes()));
        }
        return sockets::interface_request(low32(args[1]), args[2]);
    }
    if (file->inode().is_vsock() && request == Request::get_local_cid) {
        return store(args[2], local_vsock_cid());
    }
    ConsoleFile* console = file->inode().as_console();
    if (console == nullptr || !console->is_tty()) {
        return negative(Errno::notty);
    }
    return terminal_request(context, *console, request, args[2]);
}

}  // namespace shoal::guest
