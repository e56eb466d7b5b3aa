// fcntl(2)'s locks on parts of a file.
#pragma once

#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest::files {

enum class LockOwner { process, open_file };  // F_SETLK, F_OFD_SETLK
enum class LockWait { no, yes };

// `at`: a struct flock. As the system calls return.
[[nodiscard]] std::int64_t find_lock(const FileContext& context, OpenFile& file, UserAddress at,
                                     LockOwner owner);
[[nodiscard]] std::int64_t set_lock(const FileContext& context, OpenFile& file, UserAddress at,
                                    LockOwner owner, LockWait wait);

}  // namespace shoal::guest::files
