// setsockopt and getsockopt: the options that sockets of all families share, and the way to those
// that only a family knows.
#include "guest/kernel/syscalls/sockets_support.h"

namespace shoal::guest {

using namespace files;
using namespace sockets;

namespace {

constexpr std::uint32_t socket_level = 1;  // SOL_SOCKET

// <asm-generic/socket.h>
enum class Name : std::uint32_t {
    type = 3,
    error = 4,
    receive_timeout = 20,
    send_timeout = 21,
    accepts_connections = 30,
    protocol = 38,
    domain = 39,
    receive_timeout_new = 66,
    send_timeout_new = 67,
};

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::int64_t microseconds = 1'000'000;

// struct timeval.
struct TimeValue {
    std::int64_t seconds;
    std::int64_t microseconds;
};

Result<std::uint64_t> parse_timeout(std::span<const std::byte> value) {
    TimeValue time;
    if (value.size() < sizeof time) {
        return fail(Errno::inval);
    }
    std::memcpy(&time, value.data(), sizeof time);
    if (time.microseconds < 0 || time.microseconds >= microseconds) {
        return fail(Errno::dom);
    }
    constexpr std::int64_t seconds_max = 1LL << 32;
    const auto seconds =
        static_cast<std::uint64_t>(std::clamp<std::int64_t>(time.seconds, 0, seconds_max));
    return seconds * second_ns + static_cast<std::uint64_t>(time.microseconds) * 1000;
}

std::size_t put_timeout(std::span<std::byte> value, std::uint64_t ns) {
    const TimeValue time{static_cast<std::int64_t>(ns / second_ns),
                         static_cast<std::int64_t>(ns % second_ns / 1000)};
    std::memcpy(value.data(), &time, sizeof time);
    return sizeof time;
}

std::size_t put_number(std::span<std::byte> value, std::uint32_t number) {
    std::memcpy(value.data(), &number, sizeof number);
    return sizeof number;
}

Result<void> set_option(Socket& socket, SocketOption option, std::span<const std::byte> value) {
    const auto name = static_cast<Name>(option.name);
    const bool is_receive = name == Name::receive_timeout || name == Name::receive_timeout_new;
    const bool is_send = name == Name::send_timeout || name == Name::send_timeout_new;
    if (option.level != socket_level || !(is_receive || is_send)) {
        return socket.set_option(option, value);
    }
    const auto timeout = parse_timeout(value);
    if (!timeout) {
        return fail(timeout.error());
    }
    (is_receive ? socket.receive_timeout_ns : socket.send_timeout_ns) = *timeout;
    return {};
}

Result<std::size_t> get_option(Socket& socket, SocketOption option, std::span<std::byte> value) {
    if (option.level != socket_level) {
        return socket.get_option(option, value);
    }
    switch (static_cast<Name>(option.name)) {
        case Name::type:
            return put_number(value, static_cast<std::uint32_t>(socket.socket_type()));
        case Name::protocol:
            return put_number(value, socket.protocol());
        case Name::domain:
            return put_number(value, socket.family());
        case Name::accepts_connections:
            return put_number(value, socket.is_listening() ? 1 : 0);
        case Name::error:
            return put_number(value, static_cast<std::uint32_t>(socket.take_error()));
        case Name::receive_timeout:
        case Name::receive_timeout_new:
            return put_timeout(value, socket.receive_timeout_ns);
        case Name::send_timeout:
        case Name::send_timeout_new:
            return put_timeout(value, socket.send_timeout_ns);
    }
    return socket.get_option(option, value);
}

}  // namespace

std::int64_t sys_setsockopt(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    const auto size = static_cast<std::int32_t>(low32(args[4]));
    if (size < 0) {
        return negative(Errno::inval);
    }
    std::array<std::byte, Socket::option_bytes_max> room{};
    const auto value =
        std::span{room}.first(std::min<std::size_t>(static_cast<std::uint32_t>(size), room.size()));
    if (!copy_from_user(value.data(), args[3], value.size())) {
        return negative(Errno::fault);
    }
    return result_of(set_option(*open->socket, {low32(args[1]), low32(args[2])}, value));
}

std::int64_t sys_getsockopt(FileContext& context, const CallArguments& args) {
    const auto open = find_socket(context, args[0]);
    if (!open) {
        return negative(open.error());
    }
    std::int32_t room = 0;
    if (!fetch(room, args[4])) {
        return negative(Errno::fault);
    }
    if (room < 0) {
        return negative(Errno::inval);
    }
    std::array<std::byte, Socket::option_bytes_max> value{};
    const auto size = get_option(*open->socket, {low32(args[1]), low32(args[2])}, value);
    if (!size) {
        return negative(size.error());
    }
    const std::size_t count = std::min<std::size_t>(static_cast<std::uint32_t>(room), *size);
    if (!copy_to_user(args[3], value.data(), count)) {
        return negative(Errno::fault);
    }
    return store(args[4], static_cast<std::uint32_t>(count));
}

}  // namespace shoal::guest
