// UnixSocket: names, connections and their ends.
#include "guest/kernel/net/unix_socket.h"

#include <algorithm>

namespace shoal::guest {
namespace {

// What a bound path leads to. open(2) fails as on Linux.
class UnixNode final : public Inode {
public:
    UnixNode() noexcept : Inode{FileType::socket, 0755} {}
    Result<void> opened(OpenFile&) override { return fail(Errno::nxio); }
};

constinit UnixSocket* first_bound = nullptr;

Result<void> check_kind(const SocketKind& kind) {
    if (kind.protocol > 1) {  // PF_UNIX is allowed, too
        return fail(Errno::protonosupport);
    }
    const bool is_known = kind.type == SocketType::stream || kind.type == SocketType::datagram ||
                          kind.type == SocketType::sequenced;
    return is_known ? Result<void>{} : fail(Errno::socktnosupport);
}

}  // namespace

Result<SocketRef> UnixSocket::make(FileSystem& file_system, const SocketKind& kind) {
    if (const auto checked = check_kind(kind); !checked) {
        return fail(checked.error());
    }
    SocketRef socket{file_system.make_inode<UnixSocket>(file_system, kind.type)};
    return socket ? Result<SocketRef>{std::move(socket)} : fail(Errno::nomem);
}

Result<SocketPair> UnixSocket::make_pair(FileSystem& file_system, const SocketKind& kind) {
    if (const auto checked = check_kind(kind); !checked) {
        return fail(checked.error());
    }
    const auto one = file_system.make_inode<UnixSocket>(file_system, kind.type);
    const auto other = file_system.make_inode<UnixSocket>(file_system, kind.type);
    if (!one || !other) {
        return fail(Errno::nomem);
    }
    join(*one, *other);
    join(*other, *one);
    return SocketPair{SocketRef{one}, SocketRef{other}};
}

UnixSocket::~UnixSocket() {
    hang_up();
}

void UnixSocket::join(UnixSocket& one, UnixSocket& other) noexcept {
    one.state_ = State::connected;
    one.peer_ = Ref<UnixSocket>{&other};
    one.peer_name_ = other.address_;
    one.peer_credentials_ = other.owner_;
    one.room_place_.join(other.room_waiters_, one.room_listener_);
}

Entry& UnixSocket::start_of(const SocketAddress& address) const noexcept {
    return address.directory ? *address.directory : file_system_.root();
}

Result<void> UnixSocket::bind(const SocketAddress& address) {
    const auto parsed = UnixAddress::parse(address);
    if (!parsed || parsed->is_unnamed() || !address_.is_unnamed()) {
        return fail(Errno::inval);
    }
    if (parsed->is_abstract()) {
        if (find_bound(address)) {
            return fail(Errno::addrinuse);
        }
    } else {
        const auto place = file_system_.walk(start_of(address), parsed->name(), FollowLast::never);
        if (!place || place->entry) {
            return fail(place ? Errno::addrinuse : place.error());
        }
        InodeRef node{file_system_.make_inode<UnixNode>()};
        const auto added = node ? file_system_.add(*place, node) : fail(Errno::nomem);
        if (!added) {
            return fail(added.error());
        }
        node_ = std::move(node);
    }
    address_ = *parsed;
    next_bound_ = std::exchange(first_bound, this);
    return {};
}

void UnixSocket::unbind() noexcept {
    UnixSocket** at = &first_bound;
    while (*at != nullptr && *at != this) {
        at = &(*at)->next_bound_;
    }
    if (*at == this) {
        *at = next_bound_;
    }
}

// Errno::connrefused when nobody has the address (any more). Each type has abstract names of its
// own.
Result<Ref<UnixSocket>> UnixSocket::find_bound(const SocketAddress& address) const {
    const auto parsed = UnixAddress::parse(address);
    if (!parsed || parsed->is_unnamed()) {
        return fail(Errno::inval);
    }
    InodeRef node;
    if (!parsed->is_abstract()) {
        const auto found = file_system_.find(start_of(address), parsed->name());
        if (!found) {
            return fail(found.error());
        }
        node = (*found)->inode_ref();
    }
    for (UnixSocket* socket = first_bound; socket != nullptr; socket = socket->next_bound_) {
        const bool has_name = !socket->node_ && socket->address_.name() == parsed->name() &&
                              socket->socket_type() == socket_type();
        if (node ? socket->node_ == node : has_name) {
            return Ref<UnixSocket>{socket};
        }
    }
    return fail(Errno::connrefused);
}

Result<void> UnixSocket::listen(std::uint32_t backlog) {
    if (is_datagram()) {
        return fail(Errno::opnotsupp);
    }
    const bool may_listen = state_ == State::unconnected || state_ == State::listening;
    if (address_.is_unnamed() || !may_listen) {
        return fail(Errno::inval);
    }
    state_ = State::listening;
    owner_ = own_credentials();
    backlog_limit_ = std::min<std::size_t>(backlog, backlog_max);
    room_waiters_.wake_all();
    return {};
}

Result<SocketRef> UnixSocket::accept(SocketAddress& peer) {
    if (is_datagram()) {
        return fail(Errno::opnotsupp);
    }
    if (state_ != State::listening) {
        return fail(Errno::inval);
    }
    if (backlog_.empty()) {
        return fail(no_more_reads_ ? Errno::inval : Errno::again);
    }
    const Ref<UnixSocket> accepted = std::move(backlog_.front());
    backlog_.erase(backlog_.begin());
    room_waiters_.wake_all();
    peer = accepted->peer_name_.socket_address();
    return SocketRef{accepted};
}

Result<void> UnixSocket::connect(const SocketAddress& address) {
    if (address.family() == address_family::unspecified && is_datagram()) {
        peer_ = {};
        state_ = State::unconnected;
        return {};
    }
    const auto found = find_bound(address);
    if (!found) {
        return fail(found.error());
    }
    UnixSocket& target = **found;
    if (target.socket_type() != socket_type()) {
        return fail(Errno::prototype);
    }
    if (is_datagram()) {
        join(*this, target);
        return {};
    }
    return connect_to_listener(target);
}

Result<void> UnixSocket::connect_to_listener(UnixSocket& listener) {
    if (state_ != State::unconnected) {
        return fail(state_ == State::connected ? Errno::isconn : Errno::inval);
    }
    if (listener.state_ != State::listening || listener.no_more_reads_) {
        return fail(Errno::connrefused);
    }
    if (listener.backlog_.size() > listener.backlog_limit_) {
        room_place_.join(listener.room_waiters_, room_listener_);
        return fail(Errno::again);
    }
    const auto accepted = file_system_.make_inode<UnixSocket>(file_system_, socket_type());
    if (!accepted) {
        return fail(Errno::nomem);
    }
    accepted->address_ = listener.address_;
    accepted->owner_ = listener.owner_;
    owner_ = own_credentials();
    join(*this, *accepted);
    join(*accepted, *this);
    listener.backlog_.push_back(accepted);
    listener.waiters().wake_all();
    waiters().wake_all();
    return {};
}

Result<void> UnixSocket::shutdown(Shutdown how) {
    if (!is_datagram() && state_ != State::connected && state_ != State::listening) {
        return fail(Errno::notconn);
    }
    const bool reads = how != Shutdown::write;
    const bool writes = how != Shutdown::read;
    no_more_reads_ |= reads;
    no_more_writes_ |= writes;
    if (peer_ && !is_datagram()) {
        peer_->no_more_reads_ |= writes;
        peer_->no_more_writes_ |= reads;
        peer_->waiters().wake_all();
    }
    waiters().wake_all();
    return {};
}

Result<SocketAddress> UnixSocket::local_address() const {
    return address_.socket_address();
}

Result<SocketAddress> UnixSocket::peer_address() const {
    return state_ == State::connected ? Result<SocketAddress>{peer_name_.socket_address()}
                                      : fail(Errno::notconn);
}

// The last descriptor is gone.
void UnixSocket::closed(OpenFile&) noexcept {
    hang_up();
}

void UnixSocket::hang_up() noexcept {
    if (state_ == State::closed) {
        return;
    }
    state_ = State::closed;
    unbind();
    for (const Ref<UnixSocket>& waiting : std::exchange(backlog_, {})) {
        waiting->hang_up();
    }
    if (const Ref<UnixSocket> peer = std::exchange(peer_, {}); peer && !is_datagram()) {
        peer->no_more_reads_ = peer->no_more_writes_ = true;
        if (!packets_.empty()) {
            peer->error_ = Errno::connreset;
        }
        peer->peer_ = {};
        peer->waiters().wake_all();
    }
    packets_.clear();
    room_waiters_.wake_all();
}

Readiness UnixSocket::readiness(const OpenFile&) const {
    const auto is = [](bool holds) { return holds ? Readiness::Is::yes : Readiness::Is::no; };
    const bool is_unconnected = !is_datagram() && state_ == State::unconnected;
    Readiness ready;
    ready.readable = is(!packets_.empty() || !backlog_.empty() || no_more_reads_);
    ready.writable = is(state_ != State::listening && (!peer_ || peer_->has_much_room()));
    ready.peer_closed = is(no_more_reads_);
    ready.hung_up = is(is_unconnected || (no_more_reads_ && no_more_writes_));
    ready.error = is(error_ != Errno{});
    return ready;
}

}  // namespace shoal::guest
