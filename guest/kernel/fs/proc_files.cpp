// /proc: the directories, the links, and files whose text is made when they are read.
#include "guest/kernel/fs/proc_files.h"

#include <algorithm>
#include <array>

#include "guest/kernel/fs/proc_text.h"
#include "guest/kernel/fs/symlink.h"

namespace shoal::guest {
namespace {

constexpr std::uint32_t caller = 0;

// Of a process, or of the machine (`caller`).
class ProcFile final : public Inode {
public:
    ProcFile(ProcSource& source, ProcWriter writer, std::uint32_t pid) noexcept
        : Inode{FileType::regular, 0444}, source_{source}, writer_{writer}, pid_{pid} {}

    Result<void> opened(OpenFile&) override {
        if (!source_.look_at(pid_)) {
            return fail(Errno::srch);
        }
        return {};
    }
    // The text is made when it is read from its start on, also again.
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override {
        if (offset == 0 || file.content.empty()) {
            if (!source_.look_at(pid_)) {
                return fail(Errno::srch);
            }
            file.content.clear();
            Text text{file.content};
            writer_(source_, text);
        }
        const std::span<const char> all{file.content};
        if (offset >= all.size()) {
            return std::size_t{0};
        }
        const auto part = all.subspan(offset, std::min(count, all.size() - offset));
        return to.put(std::as_bytes(part)) ? Result<std::size_t>{part.size()} : fail(Errno::fault);
    }
    // O_TRUNC does no harm.
    Result<void> resize(std::uint64_t) override { return {}; }

private:
    ProcSource& source_;
    ProcWriter writer_;
    std::uint32_t pid_;
};

class ProcDirectory : public Directory {
public:
    ProcDirectory() noexcept : Directory{0555} {}
    [[nodiscard]] bool is_changeable() const noexcept override { return false; }
};

// A link that leads to a file, whatever its name has become.
class ProcLink final : public Inode {
public:
    using Target = EntryRef (ProcSource::*)() const;
    ProcLink(ProcSource& source, Target target, std::uint32_t pid) noexcept
        : Inode{FileType::symlink, 0777}, source_{source}, target_{target}, pid_{pid} {}
    [[nodiscard]] EntryRef link_entry() const override {
        return source_.look_at(pid_) ? (source_.*target_)() : EntryRef{};
    }

private:
    ProcSource& source_;
    Target target_;
    std::uint32_t pid_;
};

// /proc/self: the caller's number.
class SelfLink final : public Inode {
public:
    explicit SelfLink(ProcSource& source) noexcept
        : Inode{FileType::symlink, 0777}, source_{source} {}
    [[nodiscard]] std::string_view link_target() const noexcept override {
        target_.clear();
        if (source_.look_at(caller)) {
            Text{target_}.add_number(source_.pid());
        }
        return {target_.data(), target_.size()};
    }

private:
    ProcSource& source_;
    mutable std::vector<char> target_{};
};

class DescriptorLink final : public Inode {
public:
    explicit DescriptorLink(EntryRef target) noexcept
        : Inode{FileType::symlink, 0700}, target_{std::move(target)} {
        attributes.link_count = 1;
    }
    [[nodiscard]] EntryRef link_entry() const override { return target_; }

private:
    EntryRef target_;
};

// /proc/PID/fd: its entries live for as long as they are looked at.
class DescriptorDirectory final : public ProcDirectory {
public:
    DescriptorDirectory(FileSystem& file_system, ProcSource& source, std::uint32_t pid) noexcept
        : file_system_{file_system}, source_{source}, pid_{pid} {
        attributes.permissions = 0500;
    }

    Result<EntryRef> find(Entry& self, std::string_view name) override {
        std::uint64_t descriptor = 0;
        for (const char c : name) {
            if (c < '0' || c > '9' || descriptor >= FileTable::limit) {
                return fail(Errno::noent);
            }
            descriptor = descriptor * 10 + static_cast<std::uint64_t>(c - '0');
        }
        const OpenFile* file = is_there() ? source_.files().find(descriptor) : nullptr;
        if (file == nullptr || (name.size() > 1 && name.front() == '0')) {
            return fail(Errno::noent);
        }
        EntryRef entry =
            Entry::make(&self, name, file_system_.make_inode<DescriptorLink>(file->entry_ref()));
        return entry ? Result<EntryRef>{std::move(entry)} : fail(Errno::nomem);
    }

    void list(std::uint64_t position, DirectoryVisitor& visitor) override {
        if (!is_there()) {
            return;
        }
        const FileTable& files = source_.files();
        std::vector<char> name;
        for (std::uint64_t at = std::max(position, first_position);
             at - first_position < files.end(); ++at) {
            const std::uint64_t descriptor = at - first_position;
            if (files.find(descriptor) == nullptr) {
                continue;
            }
            name.clear();
            Text{name}.add_number(descriptor);
            const DirectoryItem item{
                {name.data(), name.size()}, attributes.number, FileType::symlink, at + 1};
            if (visitor.visit(item) == DirectoryVisitor::Answer::stop) {
                return;
            }
        }
    }

private:
    [[nodiscard]] bool is_there() { return source_.look_at(pid_) && source_.state() != 'Z'; }

    FileSystem& file_system_;
    ProcSource& source_;
    std::uint32_t pid_;
};

// Adds files to one directory; remembers the first failure.
class Maker {
public:
    Maker(FileSystem& file_system, EntryRef directory) noexcept
        : file_system_{file_system}, directory_{std::move(directory)} {}

    // A directory that programs cannot change takes no add().
    EntryRef add(std::string_view name, const InodeRef& inode,
                 NameMemory memory = NameMemory::borrow) {
        Directory* directory = directory_->inode().as_directory();
        const auto found = directory->find(*directory_, name);
        EntryRef entry = found ? *found : Entry::make(directory_.get(), name, inode, memory);
        if (!entry || !inode) {
            result = fail(Errno::nomem);
            return {};
        }
        if (!found) {
            directory->insert(*entry);
        }
        return entry;
    }
    void add_files(ProcSource& source, std::span<const ProcText> files, std::uint32_t pid) {
        for (const ProcText& file : files) {
            add(file.name, file_system_.make_inode<ProcFile>(source, file.writer, pid));
        }
    }

    Result<void> result{};

private:
    FileSystem& file_system_;
    EntryRef directory_;
};

Result<void> populate_system(FileSystem& file_system, ProcSource& source) {
    for (const ProcFolder& folder : system_folders()) {
        const auto directory = file_system.ensure_directory(folder.path);
        if (!directory) {
            return fail(directory.error());
        }
        Maker maker{file_system, *directory};
        maker.add_files(source, folder.files, caller);
        if (!maker.result) {
            return maker.result;
        }
    }
    return {};
}

std::vector<char> name_of(std::uint32_t pid) {
    std::vector<char> name;
    Text{name}.add_number(pid);
    return name;
}

}  // namespace

Result<void> add_proc_process(FileSystem& file_system, ProcSource& source, std::uint32_t pid) {
    const auto top = file_system.ensure_directory("proc");
    if (!top) {
        return fail(top.error());
    }
    const std::vector<char> name = name_of(pid);
    Maker folders{file_system, *top};
    const EntryRef folder = folders.add({name.data(), name.size()},
                                        file_system.make_inode<ProcDirectory>(), NameMemory::copy);
    if (!folders.result) {
        return folders.result;
    }
    Maker maker{file_system, folder};
    maker.add_files(source, process_texts(), pid);
    maker.add("exe", file_system.make_inode<ProcLink>(source, &ProcSource::executable, pid));
    maker.add("cwd", file_system.make_inode<ProcLink>(source, &ProcSource::working_directory, pid));
    maker.add("root", file_system.make_inode<Symlink>("/"));
    maker.add("fd", file_system.make_inode<DescriptorDirectory>(file_system, source, pid));
    return maker.result;
}

void remove_proc_process(FileSystem& file_system, std::uint32_t pid) {
    std::vector<char> path;
    Text{path}.add("proc/").add_number(pid);
    file_system.remove_tree({path.data(), path.size()});
}

Result<void> populate_proc(FileSystem& file_system, ProcSource& source) {
    const auto top = file_system.ensure_directory("proc");
    if (!top || !source.look_at(caller)) {
        return top ? fail(Errno::srch) : fail(top.error());
    }
    Maker maker{file_system, *top};
    maker.add_files(source, machine_texts(), caller);
    maker.add("mounts", file_system.make_inode<Symlink>("self/mounts"));
    maker.add("self", file_system.make_inode<SelfLink>(source));
    if (!maker.result) {
        return maker.result;
    }
    if (const auto made = populate_system(file_system, source); !made) {
        return made;
    }
    return add_proc_process(file_system, source, source.pid());
}

}  // namespace shoal::guest
