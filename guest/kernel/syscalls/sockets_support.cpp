// Descriptors and addresses of sockets.
#include "guest/kernel/syscalls/sockets_support.h"

#include "guest/kernel/fs/text.h"

namespace shoal::guest::sockets {

using namespace files;

Result<OpenSocket> find_socket(const FileContext& context, std::uint64_t descriptor) {
    OpenFileRef file{context.table.find(descriptor)};
    if (!file || file->has(open_flags::path)) {
        return fail(Errno::badf);
    }
    Socket* socket = file->inode().as_socket();
    if (socket == nullptr) {
        return fail(Errno::notsock);
    }
    return OpenSocket{std::move(file), socket};
}

Result<std::uint32_t> add_socket(FileContext& context, const SocketRef& socket,
                                 std::uint32_t flags) {
    std::vector<char> name;
    Text{name}.add("socket:[").add_number(socket->attributes.number).add("]");
    const EntryRef entry = Entry::make(nullptr, {name.data(), name.size()}, socket);
    if (!entry) {
        return fail(Errno::nomem);
    }
    const auto file =
        OpenFile::open(entry, open_flags::read_write | (flags & open_flags::nonblock));
    if (!file) {
        return fail(file.error());
    }
    const bool closes = (flags & open_flags::close_on_exec) != 0;
    return context.table.add(*file, closes ? OnExec::close : OnExec::keep);
}

Result<SocketAddress> fetch_address(const FileContext& context, UserAddress address,
                                    std::uint64_t size) {
    SocketAddress fetched;
    fetched.size = low32(size);
    if (fetched.size > SocketAddress::capacity) {
        return fail(Errno::inval);
    }
    if (!copy_from_user(fetched.bytes.data(), address, fetched.size)) {
        return fail(Errno::fault);
    }
    fetched.directory = context.working_directory;
    return fetched;
}

Result<void> store_address(const SocketAddress& address, UserAddress to, UserAddress size_at) {
    if (to == 0) {
        return {};
    }
    std::int32_t room = 0;
    if (!fetch(room, size_at)) {
        return fail(Errno::fault);
    }
    if (room < 0) {
        return fail(Errno::inval);
    }
    const std::size_t count = std::min<std::size_t>(static_cast<std::uint32_t>(room), address.size);
    if (!copy_to_user(to, address.bytes.data(), count) ||
        store(size_at, static_cast<std::uint32_t>(address.size)) != 0) {
        return fail(Errno::fault);
    }
    return {};
}

Patience patience_of(const OpenFile& file, std::uint32_t flags) {
    return file.has(open_flags::nonblock) || (flags & message_flags::do_not_wait) != 0
               ? Patience::none
               : Patience::as_long_as_it_takes;
}

std::uint64_t deadline_in(std::uint64_t timeout_ns) {
    return timeout_ns == 0 ? no_deadline : monotonic_ns() + timeout_ns;
}

}  // namespace shoal::guest::sockets
