// System calls that send and receive.
#include "guest/kernel/syscalls/sockets_control.h"
#include "guest/kernel/syscalls/sockets_support.h"

namespace shoal::guest {

using namespace files;
using namespace sockets;

namespace {

// struct msghdr.
struct UserMessage {
    UserAddress name;
    std::uint32_t name_size;
    std::uint32_t padding;
    UserAddress vector;
    std::uint64_t vector_count;
    UserAddress control;
    std::uint64_t control_size;
    std::uint32_t flags;
    std::uint32_t padding2;
};
static_assert(sizeof(UserMessage) == 56);

// struct mmsghdr.
struct UserMessages {
    UserMessage message;
    std::uint32_t size;
    std::uint32_t padding;
};

constexpr std::uint64_t messages_max = 1024;  // UIO_MAXIOV

// All of a stream's bytes, or one datagram. What was sent before an error counts.
Result<std::size_t> send_all(const OpenSocket& open, OutgoingMessage& message, std::size_t total) {
    const Patience patience = patience_of(*open.file, message.flags);
    std::size_t done = 0;
    do {
        message.size = total - done;
        const auto sent = wait_for(open, patience, open.socket->send_timeout_ns,
                                   [&] { return open.socket->send(message); });
        if (!sent) {
            return done == 0 ? sent : Result<std::size_t>{done};
        }
        done += *sent;
    } while (done < total && open.socket->socket_type() == SocketType::stream);
    return done;
}

// One message; with MSG_WAITALL all bytes, unless the stream ends.
Result<std::size_t> receive_all(const OpenSocket& open, IncomingMessage& message,
                                std::size_t total) {
    const Patience patience = patience_of(*open.file, message.flags);
    const bool fills = (message.flags & message_flags::wait_all) != 0 &&
                       (message.flags & message_flags::peek) == 0 &&
                       open.socket->socket_type() == SocketType::stream;
    std::size_t done = 0;
    do {
        message.size = total - done;
        const auto got = wait_for(open, patience, open.socket->receive_timeout_ns,
                                  [&] { return open.socket->receive(message); });
        if (!got) {
            return done == 0 ? got : Result<std::size_t>{done};
        }
        done += *got;
        if (*got == 0) {
            break;
        }
    } while (fills && done < total);
    return done;
}

Result<std::size_t> send_message(const FileContext& context, const OpenSocket& open,
                                 const UserMessage& header, std::uint32_t flags) {
    const auto ranges = UserRanges::of_vector(header.vector, header.vector_count);
    if (!ranges) {
        return fail(ranges.error() == Errno::inval ? Errno::msgsize : ranges.error());
    }
    SocketAddress to;
    if (header.name != 0 && header.name_size != 0) {
        const auto address = fetch_address(context, header.name, header.name_size);
        if (!address) {
            return fail(address.error());
        }
        to = *address;
    }
    UserSource data{*ranges};
    auto files = fetch_control(context, {header.control, header.control_size});
    if (!files) {
        return fail(files.error());
    }
    OutgoingMessage message{.data = data,
                            .flags = flags,
                            .to = to.size != 0 ? &to : nullptr,
                            .files = std::move(*files)};
    return send_all(open, message, ranges->total());
}

// Fills the program's header but for what it points to. `at` is where it lies.
Result<std::size_t> receive_message(FileContext& context, const OpenSocket& open, UserAddress at,
                                    std::uint32_t flags) {
    UserMessage header;
    if (!fetch(header, at)) {
        return fail(Errno::fault);
    }
    const auto ranges = UserRanges::of_vector(header.vector, header.vector_count);
    if (!ranges) {
        return fail(ranges.error() == Errno::inval ? Errno::msgsize : ranges.error());
    }
    UserDestination data{*ranges};
    IncomingMessage message{.data = data, .flags = flags};
    const auto got = receive_all(open, message, ranges->total());
    if (!got) {
        return got;
    }
    if (header.name != 0) {
        const auto stored =
            store_address(message.from, header.name, at + offsetof(UserMessage, name_size));
        if (!stored) {
            return fail(stored.error());
        }
    }
    const auto control_size =
        store_control(context, message, {header.control, header.control_size});
    if (!control_size) {
        return fail(control_size.error());
    }
    if (store(at + offsetof(UserMessage, control_size), *control_size) != 0 ||
        store(at + offsetof(UserMessage, flags), message.result_flags) != 0) {
        return fail(Errno::fault);
    }
    return got;
}

}  // namespace

std::int64_t sys_sendto(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    SocketAddress to;
    if (args[4] != 0) {
        const auto address = fetch_address(context, args[4], args[5]);
        if (!address) {
            return negative(address.error());
        }
        to = *address;
    }
    const std::size_t size = std::min<std::size_t>(args[2], transfer_size_max);
    UserSource data{UserRanges{args[1], size}};
    OutgoingMessage message{
        .data = data, .flags = low32(args[3]), .to = args[4] != 0 ? &to : nullptr};
    return result_of(send_all(*open, message, size));
}

std::int64_t sys_recvfrom(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    const std::size_t size = std::min<std::size_t>(args[2], transfer_size_max);
    UserDestination data{UserRanges{args[1], size}};
    IncomingMessage message{.data = data, .flags = low32(args[3])};
    const auto got = receive_all(*open, message, size);
    if (!got) {
        return negative(got.error());
    }
    const auto stored = store_address(message.from, args[4], args[5]);
    return stored ? result_of(got) : negative(stored.error());
}

std::int64_t sys_sendmsg(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    UserMessage header;
    if (!open || !fetch(header, args[1])) {
        return negative(open ? Errno::fault : open.error());
    }
    return result_of(send_message(context, *open, header, low32(args[2])));
}

std::int64_t sys_recvmsg(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    return open ? result_of(receive_message(context, *open, args[1], low32(args[2])))
                : negative(open.error());
}

std::int64_t sys_sendmmsg(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    const std::uint64_t count = std::min<std::uint64_t>(low32(args[2]), messages_max);
    for (std::uint64_t i = 0; i < count; ++i) {
        const UserAddress at = args[1] + i * sizeof(UserMessages);
        UserMessage header;
        auto sent = fetch(header, at) ? send_message(context, *open, header, low32(args[3]))
                                      : Result<std::size_t>{fail(Errno::fault)};
        if (sent && store(at + offsetof(UserMessages, size), static_cast<std::uint32_t>(*sent))) {
            sent = fail(Errno::fault);
        }
        if (!sent) {
            return i == 0 ? negative(sent.error()) : static_cast<std::int64_t>(i);
        }
    }
    return static_cast<std::int64_t>(count);
}

// The timeout is looked at by nobody: Linux itself does so only between messages.
std::int64_t sys_recvmmsg(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    const std::uint64_t count = std::min<std::uint64_t>(low32(args[2]), messages_max);
    std::uint32_t flags = low32(args[3]) & ~message_flags::wait_for_one;
    for (std::uint64_t i = 0; i < count; ++i) {
        const UserAddress at = args[1] + i * sizeof(UserMessages);
        auto got = receive_message(context, *open, at, flags);
        if (got && store(at + offsetof(UserMessages, size), static_cast<std::uint32_t>(*got))) {
            got = fail(Errno::fault);
        }
        if (!got) {
            return i == 0 ? negative(got.error()) : static_cast<std::int64_t>(i);
        }
        if ((low32(args[3]) & message_flags::wait_for_one) != 0) {
            flags |= message_flags::do_not_wait;
        }
    }
    return static_cast<std::int64_t>(count);
}

}  // namespace shoal::guest
