// System calls that make, name and connect sockets.
#include "guest/kernel/net/families.h"
#include "guest/kernel/syscalls/sockets_support.h"

namespace shoal::guest {

using namespace files;
using namespace sockets;

namespace {

// SOCK_NONBLOCK and SOCK_CLOEXEC; what is left of the argument is the type.
constexpr std::uint32_t socket_flags = open_flags::nonblock | open_flags::close_on_exec;

constexpr std::uint32_t families_end = 46;  // AF_MAX

struct NewSocket {
    const SocketFamily* family;
    SocketKind kind;
    std::uint32_t flags;
};

Result<NewSocket> parse_kind(const CallArguments& args) {
    const std::uint32_t number = low32(args[0]);
    const std::uint32_t type = low32(args[1]) & ~socket_flags;
    if (type > 0xF) {
        return fail(Errno::inval);
    }
    const SocketFamily* family =
        number < families_end ? find_socket_family(static_cast<std::uint16_t>(number)) : nullptr;
    if (family == nullptr) {
        return fail(Errno::afnosupport);
    }
    return NewSocket{family,
                     {family->number, static_cast<SocketType>(type), low32(args[2])},
                     low32(args[1]) & socket_flags};
}

std::int64_t accept_on(FileContext& context, const CallArguments& args, std::uint32_t flags) {
    if ((flags & ~socket_flags) != 0) {
        return negative(Errno::inval);
    }
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    SocketAddress peer;
    const auto accepted =
        wait_for(*open, patience_of(*open->file, 0), open->socket->receive_timeout_ns,
                 [&] { return open->socket->accept(peer); });
    if (!accepted) {
        return negative(accepted.error());
    }
    if (const auto stored = store_address(peer, args[1], args[2]); !stored) {
        return negative(stored.error());
    }
    return result_of(add_socket(context, *accepted, flags));
}

// Until the connection stands or has failed.
Result<void> finish_connecting(const OpenSocket& open) {
    const auto is_settled = [&]() -> Result<void> {
        const Readiness ready = open.socket->readiness(*open.file);
        if (ready.writable == Readiness::Is::no && ready.error == Readiness::Is::no) {
            return fail(Errno::again);
        }
        return {};
    };
    const auto settled =
        wait_for(open, Patience::as_long_as_it_takes, open.socket->send_timeout_ns, is_settled);
    if (!settled) {
        return fail(settled.error() == Errno::again ? Errno::inprogress : settled.error());
    }
    const Errno error = open.socket->take_error();
    if (error != Errno{}) {
        return fail(error);
    }
    open.socket->note_connect_told();
    return {};
}

}  // namespace

std::int64_t sys_socket(FileContext& context, const CallArguments& args) {
    const auto wanted = parse_kind(args);
    if (!wanted) {
        return negative(wanted.error());
    }
    const auto socket = wanted->family->make(context.file_system, wanted->kind);
    return socket ? result_of(add_socket(context, *socket, wanted->flags))
                  : negative(socket.error());
}

std::int64_t sys_socketpair(FileContext& context, const CallArguments& args) {
    const auto wanted = parse_kind(args);
    if (!wanted) {
        return negative(wanted.error());
    }
    if (wanted->family->make_pair == nullptr) {
        return negative(Errno::opnotsupp);
    }
    const auto pair = wanted->family->make_pair(context.file_system, wanted->kind);
    if (!pair) {
        return negative(pair.error());
    }
    const auto first = add_socket(context, pair->first, wanted->flags);
    const auto second =
        first ? add_socket(context, pair->second, wanted->flags) : Result<std::uint32_t>{first};
    const auto stored = second ? store(args[3], std::array{*first, *second}) : result_of(second);
    if (stored < 0) {
        for (const auto& made : {first, second}) {
            if (made) {
                static_cast<void>(context.table.close(*made));
            }
        }
    }
    return stored;
}

std::int64_t sys_bind(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    const auto address = fetch_address(context, args[1], args[2]);
    if (!open || !address) {
        return negative(open ? address.error() : open.error());
    }
    return result_of(open->socket->bind(*address));
}

std::int64_t sys_listen(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    return open ? result_of(open->socket->listen(low32(args[1]))) : negative(open.error());
}

std::int64_t sys_accept(FileContext& context, const CallArguments& args) {
    return accept_on(context, args, 0);
}

std::int64_t sys_accept4(FileContext& context, const CallArguments& args) {
    return accept_on(context, args, low32(args[3]));
}

std::int64_t sys_connect(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    const auto address = fetch_address(context, args[1], args[2]);
    if (!open || !address) {
        return negative(open ? address.error() : open.error());
    }
    const Patience patience = patience_of(*open->file, 0);
    auto connected = wait_for(*open, patience, open->socket->send_timeout_ns,
                              [&] { return open->socket->connect(*address); });
    if (!connected && patience != Patience::none &&
        (connected.error() == Errno::inprogress || connected.error() == Errno::already)) {
        connected = finish_connecting(*open);
    }
    return result_of(connected);
}

std::int64_t sys_shutdown(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open || low32(args[1]) > static_cast<std::uint32_t>(Shutdown::both)) {
        return negative(open ? Errno::inval : open.error());
    }
    return result_of(open->socket->shutdown(static_cast<Shutdown>(low32(args[1]))));
}

std::int64_t sys_getsockname(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    const auto address = open->socket->local_address();
    return address ? result_of(store_address(*address, args[1], args[2]))
                   : negative(address.error());
}

std::int64_t sys_getpeername(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    const auto address = open->socket->peer_address();
    return address ? result_of(store_address(*address, args[1], args[2]))
                   : negative(address.error());
}

}  // namespace shoal::guest
