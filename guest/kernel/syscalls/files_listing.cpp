// System calls that give names back: getdents64, readlink, getcwd.
#include <cstddef>
#include <cstring>

#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

// struct linux_dirent64, without its name.
struct DirectoryRecord {
    std::uint64_t number;
    std::uint64_t next_position;
    std::uint16_t record_size;
    std::uint8_t type;
};
constexpr std::size_t name_offset = 19;

// Writes records to the program's memory until it is full.
class RecordWriter final : public DirectoryVisitor {
public:
    RecordWriter(UserAddress to, std::size_t room) noexcept : to_{to}, room_{room} {}

    Answer visit(const DirectoryItem& item) override {
        const std::size_t size = (name_offset + item.name.size() + 1 + 7) / 8 * 8;
        if (size > room_ - used_) {
            error_ = Errno::inval;  // if it was the first
            return Answer::stop;
        }
        std::array<char, name_offset + name_size_max + 1 + 7> record{};
        const DirectoryRecord head{
            item.number, item.next_position, static_cast<std::uint16_t>(size),
            static_cast<std::uint8_t>(static_cast<std::uint32_t>(item.type) >> 12)};
        std::memcpy(record.data(), &head, name_offset);
        std::memcpy(record.data() + name_offset, item.name.data(), item.name.size());
        if (!copy_to_user(to_ + used_, record.data(), size)) {
            error_ = Errno::fault;
            return Answer::stop;
        }
        used_ += size;
        position_ = item.next_position;
        return Answer::more;
    }

    [[nodiscard]] Errno error() const { return error_; }
    [[nodiscard]] std::size_t used() const { return used_; }
    // After the last record; only if there is one.
    [[nodiscard]] std::uint64_t position() const { return position_; }

private:
    UserAddress to_;
    std::size_t room_;
    std::size_t used_ = 0;
    std::uint64_t position_ = 0;
    Errno error_{};
};

void list(Entry& entry, std::uint64_t position, DirectoryVisitor& visitor) {
    using Answer = DirectoryVisitor::Answer;
    Inode& inode = entry.inode();
    const Inode& parent = entry.parent() == nullptr ? inode : entry.parent()->inode();
    const DirectoryItem self{".", inode.attributes.number, FileType::directory, 1};
    const DirectoryItem up{"..", parent.attributes.number, FileType::directory, 2};
    if (position == 0 && visitor.visit(self) == Answer::stop) {
        return;
    }
    if (position <= 1 && visitor.visit(up) == Answer::stop) {
        return;
    }
    inode.as_directory()->list(std::max(position, Directory::first_position), visitor);
}

}  // namespace

std::int64_t sys_getdents64(FileContext& context, const CallArguments& args) {
    OpenFile* file = context.table.find(args[0]);
    if (file == nullptr || file->has(open_flags::path)) {
        return negative(Errno::badf);
    }
    if (file->inode().as_directory() == nullptr) {
        return negative(Errno::notdir);
    }
    if (file->inode().attributes.link_count == 0) {
        return negative(Errno::noent);
    }
    if (const auto completed = file->inode().as_directory()->complete(file->entry()); !completed) {
        return negative(completed.error());
    }
    RecordWriter writer{args[1], low32(args[2])};
    list(file->entry(), file->position, writer);
    if (writer.used() == 0) {
        return writer.error() == Errno{} ? 0 : negative(writer.error());
    }
    file->position = writer.position();
    return static_cast<std::int64_t>(writer.used());
}

namespace {

std::int64_t read_link_at(FileContext& context, std::uint64_t directory, UserAddress path,
                          UserAddress to, std::uint32_t size) {
    if (static_cast<std::int32_t>(size) <= 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    const auto entry = user_path.find(context, directory, path, FollowLast::no, at_empty_path);
    if (!entry) {
        return negative(entry.error());
    }
    const Inode& inode = (*entry)->inode();
    if (inode.type() != FileType::symlink) {
        return negative(Errno::inval);
    }
    std::array<char, path_size_max> room;
    std::string_view target = inode.link_target();
    if (const EntryRef linked = inode.link_entry()) {
        const auto found = context.file_system.path_of(*linked, room);
        if (!found) {
            return negative(Errno::nametoolong);
        }
        target = *found;
    }
    if (target.empty()) {
        return negative(Errno::noent);
    }
    target = target.substr(0, size);
    return copy_to_user(to, target.data(), target.size()) ? static_cast<std::int64_t>(target.size())
                                                          : negative(Errno::fault);
}

}  // namespace

std::int64_t sys_readlink(FileContext& context, const CallArguments& args) {
    return read_link_at(context, working_directory, args[0], args[1], low32(args[2]));
}

std::int64_t sys_readlinkat(FileContext& context, const CallArguments& args) {
    return read_link_at(context, args[0], args[1], args[2], low32(args[3]));
}

std::int64_t sys_getcwd(FileContext& context, const CallArguments& args) {
    const Entry& directory = *context.working_directory;
    if (directory.inode().attributes.link_count == 0) {
        return negative(Errno::noent);
    }
    std::array<char, path_size_max> room;
    const auto path =
        context.file_system.path_of(directory, std::span{room}.first<path_size_max - 1>());
    if (!path) {
        return negative(Errno::nametoolong);
    }
    room[path->size()] = '\0';
    const std::size_t size = path->size() + 1;
    if (size > args[1]) {
        return negative(Errno::range);
    }
    return copy_to_user(args[0], room.data(), size) ? static_cast<std::int64_t>(size)
                                                    : negative(Errno::fault);
}

}  // namespace shoal::guest
