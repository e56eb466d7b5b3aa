// /dev: what each device does, and the nodes that are there from the start.
#include "guest/kernel/fs/device_files.h"

#include "guest/kernel/fs/disk_file.h"
#include "guest/kernel/fs/pipe.h"
#include "guest/kernel/fs/symlink.h"
#include "guest/kernel/fs/vsock_file.h"

namespace shoal::guest {
namespace {

// Numbers as in Linux, admin-guide/devices.rst.
struct DeviceNode {
    std::string_view name;
    std::uint32_t major;
    std::uint32_t minor;
};
constexpr DeviceNode device_nodes[] = {
    {"null", 1, 3},    {"zero", 1, 5}, {"full", 1, 7},    {"random", 1, 8},
    {"urandom", 1, 9}, {"tty", 5, 0},  {"console", 5, 1}, {"vsock", 10, 121},
};
constexpr DeviceNode clone_node{"clone", 240, 0};

struct DeviceLink {
    std::string_view name;
    std::string_view target;
};
constexpr DeviceLink device_links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

// As Linux numbers virtio disks when nothing else took the number first.
constexpr std::uint32_t disk_major = 254;
constexpr std::uint32_t disk_minors = 16;  // partitions, which are not looked for

enum class MemoryDevice { null, zero, full, random };

class MemoryDeviceFile final : public Inode {
public:
    MemoryDeviceFile(std::uint32_t permissions, MemoryDevice kind, RandomFunction random) noexcept
        : Inode{FileType::character_device, permissions}, kind_{kind}, random_{random} {}

    Result<std::size_t> read(OpenFile&, std::uint64_t, Destination& to,
                             std::size_t count) override {
        switch (kind_) {
            case MemoryDevice::null:
                return std::size_t{0};
            case MemoryDevice::zero:
            case MemoryDevice::full:
                return to.put_zeros(count) ? Result<std::size_t>{count} : fail(Errno::fault);
            case MemoryDevice::random:
                return read_random(to, count);
        }
        return fail(Errno::io);
    }

    // What is written is not looked at, as on Linux, where not even a bad address fails.
    Result<std::size_t> write(OpenFile&, std::uint64_t, Source&, std::size_t count) override {
        return kind_ == MemoryDevice::full ? fail(Errno::nospc) : Result<std::size_t>{count};
    }

private:
    Result<std::size_t> read_random(Destination& to, std::size_t count) {
        std::array<std::byte, 256> piece;
        std::size_t done = 0;
        while (done < count) {
            const auto part = std::span{piece}.first(std::min(count - done, piece.size()));
            random_(part);
            if (!to.put(part)) {
                return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
            }
            done += part.size();
        }
        return done;
    }

    MemoryDevice kind_;
    RandomFunction random_;
};

// A node of the initramfs for a device that the machine does not have.
class AbsentDeviceFile final : public Inode {
public:
    using Inode::Inode;
    Result<void> opened(OpenFile&) override { return fail(Errno::nxio); }
};

constexpr std::uint32_t number_of(std::uint32_t major, std::uint32_t minor) {
    return major << 8 | minor;
}

}  // namespace

bool Devices::has_tty() const {
    return console_.is_tty(ConsoleStream::input) || console_.is_tty(ConsoleStream::output) ||
           console_.is_tty(ConsoleStream::error);
}

// All streams that are terminals are taken to be the same terminal.
InodeRef Devices::console_node(std::uint32_t permissions) {
    ConsoleStream stream = ConsoleStream::output;
    if (!console_.is_tty(stream) && console_.is_tty(ConsoleStream::error)) {
        stream = ConsoleStream::error;
    } else if (!console_.is_tty(stream) && console_.is_tty(ConsoleStream::input)) {
        stream = ConsoleStream::input;
    }
    return file_system_.make_inode<ConsoleFile>(FileType::character_device, permissions, console_,
                                                stream);
}

InodeRef Devices::make_disk(std::uint32_t permissions, std::uint32_t major, std::uint32_t minor) {
    const bool is_there =
        major == disk_major && minor % disk_minors == 0 && minor / disk_minors < disks_.size();
    if (!is_there) {
        return file_system_.make_inode<AbsentDeviceFile>(FileType::block_device, permissions);
    }
    return file_system_.make_inode<DiskFile>(permissions, *disks_[minor / disk_minors]);
}

InodeRef Devices::make(FileType type, std::uint32_t permissions, std::uint32_t major,
                       std::uint32_t minor) {
    const auto memory_device = [&](MemoryDevice kind) -> InodeRef {
        return file_system_.make_inode<MemoryDeviceFile>(permissions, kind, random_);
    };
    const bool is_known = type == FileType::character_device && major < 256 && minor < 256;
    InodeRef made;
    switch (is_known ? number_of(major, minor) : 0) {
        case number_of(1, 3):
            made = memory_device(MemoryDevice::null);
            break;
        case number_of(1, 5):
            made = memory_device(MemoryDevice::zero);
            break;
        case number_of(1, 7):
            made = memory_device(MemoryDevice::full);
            break;
        case number_of(1, 8):
        case number_of(1, 9):
            made = memory_device(MemoryDevice::random);
            break;
        case number_of(5, 1):
            made = console_node(permissions);
            break;
        case number_of(10, 121):
            made = file_system_.make_inode<VsockFile>(permissions);
            break;
        case number_of(clone_node.major, clone_node.minor):
            made = clones_ != nullptr
                       ? InodeRef{file_system_.make_inode<CloneFile>(permissions, *clones_)}
                       : InodeRef{file_system_.make_inode<AbsentDeviceFile>(type, permissions)};
            break;
        default:
            made = type == FileType::block_device ? make_disk(permissions, major, minor)
                   : is_known && number_of(major, minor) == number_of(5, 0) && has_tty()
                       ? console_node(permissions)
                       : InodeRef{file_system_.make_inode<AbsentDeviceFile>(type, permissions)};
            break;
    }
    if (made) {
        made->attributes.device_major = major;
        made->attributes.device_minor = minor;
    }
    return made;
}

Result<void> Devices::populate() {
    const auto directory = file_system_.ensure_directory("dev");
    if (!directory) {
        return fail(directory.error());
    }
    const auto add = [&](std::string_view name, const auto& make_file) -> Result<void> {
        const auto place = file_system_.walk(**directory, name, FollowLast::never);
        if (!place || place->entry) {
            return place ? Result<void>{} : fail(place.error());
        }
        const auto added = file_system_.add(*place, make_file());
        return added ? Result<void>{} : fail(added.error());
    };
    const auto add_node = [&](const DeviceNode& node) {
        return add(node.name,
                   [&] { return make(FileType::character_device, 0666, node.major, node.minor); });
    };
    for (const DeviceNode& node : device_nodes) {
        if (const auto added = add_node(node); !added) {
            return added;
        }
    }
    if (clones_ != nullptr) {
        if (const auto added = add_node(clone_node); !added) {
            return added;
        }
    }
    for (std::uint32_t i = 0; i < disks_.size(); ++i) {
        const std::array name{'v', 'd', static_cast<char>('a' + i)};
        const auto added = add({name.data(), name.size()}, [&] {
            return make(FileType::block_device, 0660, disk_major, i * disk_minors);
        });
        if (!added) {
            return added;
        }
    }
    for (const DeviceLink& link : device_links) {
        const auto added = add(
            link.name, [&]() -> InodeRef { return file_system_.make_inode<Symlink>(link.target); });
        if (!added) {
            return added;
        }
    }
    return {};
}

EntryRef Devices::stream_entry(ConsoleStream stream) {
    constexpr std::string_view path = "/dev/console";
    const auto node = file_system_.find(path);
    if (console_.is_tty(stream)) {
        return node && (*node)->inode().as_console() != nullptr
                   ? *node
                   : Entry::make(nullptr, path, console_node(0600), NameMemory::borrow);
    }
    const InodeRef pipe =
        file_system_.make_inode<ConsoleFile>(FileType::fifo, 0600U, console_, stream);
    if (!pipe) {
        return {};
    }
    pipe->attributes.link_count = 1;
    return make_pipe_entry(pipe);
}

Result<void> Devices::open_standard_streams(FileTable& table) {
    for (const auto stream : {ConsoleStream::input, ConsoleStream::output, ConsoleStream::error}) {
        EntryRef entry = stream_entry(stream);
        if (!entry) {
            return fail(Errno::nomem);
        }
        const std::uint32_t flags = console_.is_tty(stream)          ? open_flags::read_write
                                    : stream == ConsoleStream::input ? open_flags::read_only
                                                                     : open_flags::write_only;
        const auto file = OpenFile::open(std::move(entry), flags);
        if (!file) {
            return fail(file.error());
        }
        const auto put = table.put(static_cast<std::uint32_t>(stream), *file, OnExec::keep);
        if (!put) {
            return fail(put.error());
        }
    }
    return {};
}

}  // namespace shoal::guest
