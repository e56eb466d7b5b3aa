// Entry: a name in the tree, and Directory: the inode that holds the names.
//
// An entry keeps its parent alive, and a directory its entries, until they are removed; an open
// file keeps its entry, so that its path can be told as long as it has one. Lookup is a hash table,
// listing is in the order of creation. Names of the initramfs are borrowed from it.
#pragma once

#include "guest/kernel/fs/inode.h"

namespace shoal::guest {

inline constexpr std::size_t name_size_max = 255;   // NAME_MAX
inline constexpr std::size_t path_size_max = 4096;  // PATH_MAX, with the NUL

enum class NameMemory {
    borrow,  // the bytes outlive the file system
    copy,
};

class Entry {
public:
    // Not in the parent's directory yet. `parent` is nullptr for the root and for what has no place
    // in the tree, such as a pipe. Empty when memory is gone.
    [[nodiscard]] static Ref<Entry> make(Entry* parent, std::string_view name, InodeRef inode,
                                         NameMemory memory = NameMemory::copy);
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    [[nodiscard]] std::string_view name() const noexcept { return {name_, name_size_}; }
    [[nodiscard]] Inode& inode() const noexcept { return *inode_; }
    [[nodiscard]] const InodeRef& inode_ref() const noexcept { return inode_; }
    [[nodiscard]] Entry* parent() const noexcept { return parent_.get(); }
    // False after it was removed from its directory.
    [[nodiscard]] bool is_linked() const noexcept { return is_linked_; }

    void retain() noexcept { ++references_; }
    void release() noexcept;

private:
    friend class Directory;

    Entry(Entry* parent, InodeRef inode) noexcept : parent_{parent}, inode_{std::move(inode)} {}
    ~Entry();
    [[nodiscard]] bool set_name(std::string_view name, NameMemory memory);

    std::uint32_t references_ = 0;
    std::uint32_t hash_ = 0;
    Ref<Entry> parent_;
    InodeRef inode_;
    const char* name_ = nullptr;
    std::uint16_t name_size_ = 0;
    bool owns_name_ = false;
    bool is_linked_ = false;
    Entry* chain_ = nullptr;     // of the hash bucket
    Entry* previous_ = nullptr;  // in the order of creation
    Entry* next_ = nullptr;
    std::uint64_t position_ = 0;
};

using EntryRef = Ref<Entry>;

struct DirectoryItem {
    std::string_view name;
    std::uint64_t number = 0;  // st_ino
    FileType type = FileType::regular;
    std::uint64_t next_position = 0;
};

class DirectoryVisitor {
public:
    enum class Answer { more, stop };
    // `stop` means that this item was not taken.
    [[nodiscard]] virtual Answer visit(const DirectoryItem& item) = 0;

protected:
    ~DirectoryVisitor() = default;
};

class Directory : public Inode {
public:
    // Positions before it are those of "." and "..", which are not entries.
    static constexpr std::uint64_t first_position = 2;

    explicit Directory(std::uint32_t permissions) noexcept
        : Inode{FileType::directory, permissions} {
        attributes.link_count = 2;
    }

    // As ext4 tells it, so that a listing looks as on most hosts.
    [[nodiscard]] std::uint64_t size() const noexcept override { return 4096; }
    [[nodiscard]] std::uint64_t allocated_bytes() const noexcept override { return 4096; }

    // `self` is this directory's entry. Errno::noent when there is no such name.
    [[nodiscard]] virtual Result<EntryRef> find(Entry& self, std::string_view name);
    // Brings all names into memory, where list(), entry_count() and first_entry() see them. To be
    // called before one of those, or before a name is removed. `self` is this directory's entry.
    [[nodiscard]] virtual Result<void> complete(Entry&) { return {}; }
    // All entries from `position` on. The visitor must not change the directory.
    virtual void list(std::uint64_t position, DirectoryVisitor& visitor);
    // False: names cannot be added or removed by programs (/proc).
    [[nodiscard]] virtual bool is_changeable() const noexcept { return true; }

    // Keeps the link counts and nothing else: no check, no time. The name must be new.
    void insert(Entry& entry) noexcept;
    void remove(Entry& entry) noexcept;
    // Takes `entry` from the directory `from`, where it is, into this one, whose entry is `self`.
    // On failure (memory is gone) nothing has changed.
    [[nodiscard]] Result<void> move_here(Entry& self, Directory& from, Entry& entry,
                                         std::string_view name);

    [[nodiscard]] std::size_t entry_count() const noexcept { return count_; }
    [[nodiscard]] Entry* first_entry() const noexcept { return first_; }
    [[nodiscard]] Directory* as_directory() noexcept override { return this; }

protected:
    ~Directory() override;
    // For a name that the link counts know of already.
    void insert_counted(Entry& entry) noexcept {
        entry.retain();
        link(entry);
    }

private:
    void link(Entry& entry) noexcept;
    void unlink(Entry& entry) noexcept;
    void grow() noexcept;

    Entry* first_ = nullptr;
    Entry* last_ = nullptr;
    std::size_t count_ = 0;
    std::uint64_t next_position_ = first_position;
    std::size_t bucket_count_ = 1;  // a power of two
    Entry* single_bucket_ = nullptr;
    Entry** buckets_ = &single_bucket_;
};

}  // namespace shoal::guest
