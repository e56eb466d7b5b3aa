// Opening what has no name.
#include "guest/kernel/events/anonymous_file.h"

namespace shoal::guest {

Result<OpenFileRef> open_anonymous(const InodeRef& inode, std::string_view name,
                                   std::uint32_t flags) {
    EntryRef entry = inode ? Entry::make(nullptr, name, inode) : EntryRef{};
    if (!entry) {
        return fail(Errno::nomem);
    }
    constexpr std::uint32_t kept = open_flags::access_mask | open_flags::nonblock;
    return OpenFile::open(std::move(entry), flags & kept);
}

}  // namespace shoal::guest
