// /proc: the directories, the links, and files whose text is made when they are opened.
#include "guest/kernel/fs/proc_files.h"

#include <algorithm>
#include <array>

#include "guest/kernel/fs/proc_text.h"
#include "guest/kernel/fs/symlink.h"

namespace shoal::guest {
namespace {

class ProcFile final : public Inode {
public:
    ProcFile(const ProcSource& source, ProcWriter writer) noexcept
        : Inode{FileType::regular, 0444}, source_{source}, writer_{writer} {}

    Result<void> opened(OpenFile& file) override {
        Text text{file.content};
        writer_(source_, text);
        return {};
    }
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override {
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
    const ProcSource& source_;
    ProcWriter writer_;
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
    ProcLink(const ProcSource& source, Target target) noexcept
        : Inode{FileType::symlink, 0777}, source_{source}, target_{target} {}
    [[nodiscard]] EntryRef link_entry() const override { return (source_.*target_)(); }

private:
    const ProcSource& source_;
    Target target_;
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

// /proc/self/fd: its entries live for as long as they are looked at.
class DescriptorDirectory final : public ProcDirectory {
public:
    DescriptorDirectory(FileSystem& file_system, const ProcSource& source) noexcept
        : file_system_{file_system}, source_{source} {
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
        const OpenFile* file = source_.files().find(descriptor);
        if (file == nullptr || (name.size() > 1 && name.front() == '0')) {
            return fail(Errno::noent);
        }
        EntryRef entry =
            Entry::make(&self, name, file_system_.make_inode<DescriptorLink>(file->entry_ref()));
        return entry ? Result<EntryRef>{std::move(entry)} : fail(Errno::nomem);
    }

    void list(std::uint64_t position, DirectoryVisitor& visitor) override {
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
    FileSystem& file_system_;
    const ProcSource& source_;
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
    void add_files(const ProcSource& source, std::span<const ProcText> files) {
        for (const ProcText& file : files) {
            add(file.name, file_system_.make_inode<ProcFile>(source, file.writer));
        }
    }

    Result<void> result{};

private:
    FileSystem& file_system_;
    EntryRef directory_;
};

Result<void> populate_system(FileSystem& file_system, const ProcSource& source) {
    for (const ProcFolder& folder : system_folders()) {
        const auto directory = file_system.ensure_directory(folder.path);
        if (!directory) {
            return fail(directory.error());
        }
        Maker maker{file_system, *directory};
        maker.add_files(source, folder.files);
        if (!maker.result) {
            return maker.result;
        }
    }
    return {};
}

Result<void> populate_process(FileSystem& file_system, const ProcSource& source,
                              const EntryRef& directory) {
    Maker maker{file_system, directory};
    maker.add_files(source, process_texts());
    maker.add("exe", file_system.make_inode<ProcLink>(source, &ProcSource::executable));
    maker.add("cwd", file_system.make_inode<ProcLink>(source, &ProcSource::working_directory));
    maker.add("root", file_system.make_inode<Symlink>("/"));
    maker.add("fd", file_system.make_inode<DescriptorDirectory>(file_system, source));
    return maker.result;
}

}  // namespace

Result<void> populate_proc(FileSystem& file_system, ProcSource& source) {
    const auto top = file_system.ensure_directory("proc");
    if (!top) {
        return fail(top.error());
    }
    std::vector<char> pid;
    Text{pid}.add_number(source.pid());
    const std::string_view pid_name{pid.data(), pid.size()};
    Maker maker{file_system, *top};
    maker.add_files(source, machine_texts());
    maker.add("mounts", file_system.make_inode<Symlink>("self/mounts"));
    if (const auto made = populate_system(file_system, source); !made) {
        return made;
    }
    const EntryRef process =
        maker.add(pid_name, file_system.make_inode<ProcDirectory>(), NameMemory::copy);
    if (!maker.result) {
        return maker.result;
    }
    // The name of the process's directory lives as long as that, which is not removed.
    maker.add("self", file_system.make_inode<Symlink>(process->name()));
    return maker.result ? populate_process(file_system, source, process) : maker.result;
}

}  // namespace shoal::guest
