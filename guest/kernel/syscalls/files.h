// System calls about files, as the table of system calls has them: the arguments as the program
// gave them, and a result that is -errno when the call failed.
//
// The program's arguments are hostile: addresses reach memory only through user_memory.h. Nothing
// here faults. Calls that wait (read, write and their like, sendfile, splice, poll, select,
// epoll_wait) return -EINTR when a signal is due. A result of -EPIPE from a call that writes means
// that SIGPIPE is due, which is the caller's to raise. Up to 10 KiB of stack.
#pragma once

#include <array>
#include <cstdint>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/file_table.h"
#include "guest/kernel/fs/proc_files.h"

namespace shoal::guest {

// A process's view of files, and what the calls need of the machine. Borrows all but the directory.
struct FileContext {
    FileSystem& file_system;
    FileTable& table;
    const ProcSource& source;
    EntryRef working_directory;
    std::uint32_t umask = 022;
};

using CallArguments = std::array<std::uint64_t, 6>;
using FileCall = std::int64_t(FileContext&, const CallArguments&);

// Reading and writing
FileCall sys_read;             // (fd, buffer, count)
FileCall sys_write;            // (fd, buffer, count)
FileCall sys_readv;            // (fd, iovecs, count)
FileCall sys_writev;           // (fd, iovecs, count)
FileCall sys_pread64;          // (fd, buffer, count, offset)
FileCall sys_pwrite64;         // (fd, buffer, count, offset)
FileCall sys_preadv;           // (fd, iovecs, count, offset)
FileCall sys_pwritev;          // (fd, iovecs, count, offset)
FileCall sys_preadv2;          // (fd, iovecs, count, offset or -1, unused, flags)
FileCall sys_pwritev2;         // (fd, iovecs, count, offset or -1, unused, flags)
FileCall sys_lseek;            // (fd, offset, whence)
FileCall sys_sendfile;         // (to, from, offset, count)
FileCall sys_copy_file_range;  // (from, offset, to, offset, count, flags)
FileCall sys_splice;           // (from, offset, to, offset, count, flags)
FileCall sys_tee;              // (from, to, count, flags)
FileCall sys_vmsplice;         // (pipe, iovecs, count, flags)

// Opening and closing
FileCall sys_open;         // (path, flags, mode)
FileCall sys_openat;       // (directory, path, flags, mode)
FileCall sys_creat;        // (path, mode)
FileCall sys_close;        // (fd)
FileCall sys_close_range;  // (first, last, flags)
FileCall sys_pipe;         // (descriptors)
FileCall sys_pipe2;        // (descriptors, flags)

// Descriptors
FileCall sys_dup;       // (fd)
FileCall sys_dup2;      // (fd, as)
FileCall sys_dup3;      // (fd, as, flags)
FileCall sys_fcntl;     // (fd, command, argument)
FileCall sys_ioctl;     // (fd, request, argument)
FileCall sys_flock;     // (fd, operation)
FileCall sys_poll;      // (pollfds, count, timeout in ms)
FileCall sys_ppoll;     // (pollfds, count, timespec, sigmask, its size)
FileCall sys_select;    // (count, readable, writable, exceptional, timeval)
FileCall sys_pselect6;  // (count, readable, writable, exceptional, timespec, {sigmask, its size})

// Events
FileCall sys_epoll_create;       // (positive number)
FileCall sys_epoll_create1;      // (flags)
FileCall sys_epoll_ctl;          // (epoll, operation, fd, event)
FileCall sys_epoll_wait;         // (epoll, events, count, timeout in ms)
FileCall sys_epoll_pwait;        // (epoll, events, count, timeout in ms, sigmask, its size)
FileCall sys_epoll_pwait2;       // (epoll, events, count, timespec, sigmask, its size)
FileCall sys_eventfd;            // (counter)
FileCall sys_eventfd2;           // (counter, flags)
FileCall sys_timerfd_create;     // (clock, flags)
FileCall sys_timerfd_settime;    // (fd, flags, itimerspec, old itimerspec)
FileCall sys_timerfd_gettime;    // (fd, itimerspec)
FileCall sys_signalfd;           // (fd or -1, set, its size)
FileCall sys_signalfd4;          // (fd or -1, set, its size, flags)
FileCall sys_inotify_init;       // ()
FileCall sys_inotify_init1;      // (flags)
FileCall sys_inotify_add_watch;  // (fd, path, mask)
FileCall sys_inotify_rm_watch;   // (fd, watch)
FileCall sys_memfd_create;       // (name, flags)

// What a file is
FileCall sys_stat;        // (path, stat)
FileCall sys_lstat;       // (path, stat)
FileCall sys_fstat;       // (fd, stat)
FileCall sys_newfstatat;  // (directory, path, stat, flags)
FileCall sys_statx;       // (directory, path, flags, mask, statx)
FileCall sys_statfs;      // (path, statfs)
FileCall sys_fstatfs;     // (fd, statfs)
FileCall sys_access;      // (path, mode)
FileCall sys_faccessat;   // (directory, path, mode)
FileCall sys_faccessat2;  // (directory, path, mode, flags)
FileCall sys_readlink;    // (path, buffer, size)
FileCall sys_readlinkat;  // (directory, path, buffer, size)
FileCall sys_getdents64;  // (fd, buffer, size)

// Changing a file
FileCall sys_truncate;         // (path, size)
FileCall sys_ftruncate;        // (fd, size)
FileCall sys_fallocate;        // (fd, mode, offset, size)
FileCall sys_chmod;            // (path, mode)
FileCall sys_fchmod;           // (fd, mode)
FileCall sys_fchmodat;         // (directory, path, mode)
FileCall sys_chown;            // (path, user, group)
FileCall sys_lchown;           // (path, user, group)
FileCall sys_fchown;           // (fd, user, group)
FileCall sys_fchownat;         // (directory, path, user, group, flags)
FileCall sys_utime;            // (path, utimbuf)
FileCall sys_utimes;           // (path, timevals)
FileCall sys_futimesat;        // (directory, path, timevals)
FileCall sys_utimensat;        // (directory, path, timespecs, flags)
FileCall sys_sync;             // ()
FileCall sys_fsync;            // (fd)
FileCall sys_fdatasync;        // (fd)
FileCall sys_syncfs;           // (fd)
FileCall sys_sync_file_range;  // (fd, offset, size, flags)
FileCall sys_fadvise64;        // (fd, offset, size, advice)
FileCall sys_readahead;        // (fd, offset, count)

// Names
FileCall sys_getcwd;     // (buffer, size)
FileCall sys_chdir;      // (path)
FileCall sys_fchdir;     // (fd)
FileCall sys_umask;      // (mask)
FileCall sys_mkdir;      // (path, mode)
FileCall sys_mkdirat;    // (directory, path, mode)
FileCall sys_rmdir;      // (path)
FileCall sys_unlink;     // (path)
FileCall sys_unlinkat;   // (directory, path, flags)
FileCall sys_rename;     // (from, to)
FileCall sys_renameat;   // (directory, from, directory, to)
FileCall sys_renameat2;  // (directory, from, directory, to, flags)
FileCall sys_link;       // (existing, new)
FileCall sys_linkat;     // (directory, existing, directory, new, flags)
FileCall sys_symlink;    // (target, path)
FileCall sys_symlinkat;  // (target, directory, path)

}  // namespace shoal::guest
