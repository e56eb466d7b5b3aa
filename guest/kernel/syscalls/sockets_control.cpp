// Control messages: headers of 16 bytes, each padded to 8.
#include "guest/kernel/syscalls/sockets_control.h"

namespace shoal::guest::sockets {

using namespace files;

namespace {

// struct cmsghdr.
struct ControlHeader {
    std::uint64_t size;  // with the header
    std::uint32_t level;
    std::uint32_t type;
};
static_assert(sizeof(ControlHeader) == 16);

constexpr std::uint32_t socket_level = 1;  // SOL_SOCKET
constexpr std::uint32_t rights = 1;        // SCM_RIGHTS
constexpr std::uint32_t credentials = 2;   // SCM_CREDENTIALS
constexpr std::uint64_t alignment = 8;
constexpr std::uint64_t control_size_max = 20480;  // net.core.optmem_max
constexpr std::size_t files_max = 253;             // SCM_MAX_FD

Result<void> fetch_files(const FileContext& context, ControlBuffer from,
                         std::vector<OpenFileRef>& files) {
    const std::uint64_t count = from.size / sizeof(std::uint32_t);
    if (count > files_max - files.size()) {
        return fail(Errno::inval);
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        std::uint32_t descriptor = 0;
        if (!fetch(descriptor, from.address + i * sizeof descriptor)) {
            return fail(Errno::fault);
        }
        OpenFileRef file{context.table.find(descriptor)};
        if (!file) {
            return fail(Errno::badf);
        }
        files.push_back(std::move(file));
    }
    return {};
}

// The buffer that is left, and what was put into it.
class ControlWriter {
public:
    explicit ControlWriter(const ControlBuffer& to) noexcept : to_{to} {}

    // Bytes of data that the next message can have.
    [[nodiscard]] std::uint64_t room() const noexcept {
        const std::uint64_t left = to_.size - std::min(to_.size, used_);
        return left < sizeof(ControlHeader) ? 0 : left - sizeof(ControlHeader);
    }
    [[nodiscard]] bool put(std::uint32_t type, std::span<const std::byte> data) {
        const std::uint64_t size = sizeof(ControlHeader) + data.size();
        const UserAddress at = to_.address + used_;
        used_ = std::min(to_.size, used_ + (size + alignment - 1) / alignment * alignment);
        return store(at, ControlHeader{size, socket_level, type}) == 0 &&
               copy_to_user(at + sizeof(ControlHeader), data.data(), data.size());
    }
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }

private:
    ControlBuffer to_;
    std::uint64_t used_ = 0;
};

Result<void> store_files(FileContext& context, IncomingMessage& message, ControlWriter& writer) {
    const std::uint64_t room = writer.room() / sizeof(std::uint32_t);
    const OnExec on_exec =
        (message.flags & message_flags::close_on_exec) != 0 ? OnExec::close : OnExec::keep;
    std::vector<std::uint32_t> descriptors;
    for (OpenFileRef& file : message.files) {
        const auto descriptor = descriptors.size() < room
                                    ? context.table.add(std::move(file), on_exec)
                                    : fail(Errno::nobufs);
        if (!descriptor) {
            message.result_flags |= message_flags::control_truncated;
            break;
        }
        descriptors.push_back(*descriptor);
    }
    message.files.clear();
    const bool is_stored =
        descriptors.empty() || writer.put(rights, std::as_bytes(std::span{descriptors}));
    return is_stored ? Result<void>{} : fail(Errno::fault);
}

}  // namespace

Result<std::vector<OpenFileRef>> fetch_control(const FileContext& context,
                                               const ControlBuffer& from) {
    std::vector<OpenFileRef> files;
    if (from.size > control_size_max) {
        return fail(Errno::nobufs);
    }
    std::uint64_t at = 0;
    while (from.size - at >= sizeof(ControlHeader)) {
        ControlHeader header;
        if (!fetch(header, from.address + at)) {
            return fail(Errno::fault);
        }
        if (header.size < sizeof header || header.size > from.size - at) {
            return fail(Errno::inval);
        }
        const ControlBuffer data{from.address + at + sizeof header, header.size - sizeof header};
        if (header.level == socket_level && header.type == rights) {
            if (const auto fetched = fetch_files(context, data, files); !fetched) {
                return fail(fetched.error());
            }
        } else if (header.level == socket_level && header.type != credentials) {
            return fail(Errno::inval);
        }
        at = std::min(from.size, at + (header.size + alignment - 1) / alignment * alignment);
    }
    return files;
}

Result<std::uint64_t> store_control(FileContext& context, IncomingMessage& message,
                                    const ControlBuffer& to) {
    ControlWriter writer{to};
    if (message.credentials) {
        if (writer.room() < sizeof *message.credentials) {
            message.result_flags |= message_flags::control_truncated;
        } else if (!writer.put(credentials, std::as_bytes(std::span{&*message.credentials, 1}))) {
            return fail(Errno::fault);
        }
    }
    if (!message.files.empty()) {
        if (const auto stored = store_files(context, message, writer); !stored) {
            return fail(stored.error());
        }
    }
    return writer.used();
}

}  // namespace shoal::guest::sockets
