// Entries and directories: hash chains for lookup, a list for the order.
#include "guest/kernel/fs/directory.h"

#include <cstring>
#include <new>

namespace shoal::guest {
namespace {

// FNV-1a.
std::uint32_t hash_of(std::string_view name) noexcept {
    std::uint32_t hash = 2166136261U;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    return hash;
}

}  // namespace

EntryRef Entry::make(Entry* parent, std::string_view name, InodeRef inode, NameMemory memory) {
    EntryRef entry{new (std::nothrow_t{}) Entry(parent, std::move(inode))};
    if (!entry || !entry->set_name(name, memory)) {
        return {};
    }
    return entry;
}

Entry::~Entry() {
    if (owns_name_) {
        delete[] name_;
    }
}

// The last reference to an entry may be the last one that keeps its parents: a loop, so that a deep
// tree takes no deep stack.
void Entry::release() noexcept {
    Entry* entry = this;
    while (entry != nullptr && --entry->references_ == 0) {
        Entry* parent = entry->parent_.get();
        if (parent != nullptr) {
            parent->retain();
            entry->parent_ = nullptr;
        }
        delete entry;
        entry = parent;
    }
}

bool Entry::set_name(std::string_view name, NameMemory memory) {
    const char* bytes = name.data();
    if (memory == NameMemory::copy) {
        char* copy = new (std::nothrow_t{}) char[name.size()];
        if (copy == nullptr) {
            return false;
        }
        std::memcpy(copy, name.data(), name.size());
        bytes = copy;
    }
    if (owns_name_) {
        delete[] name_;
    }
    name_ = bytes;
    name_size_ = static_cast<std::uint16_t>(name.size());
    owns_name_ = memory == NameMemory::copy;
    hash_ = hash_of(name);
    return true;
}

Directory::~Directory() {
    // Empty: its entries would keep it.
    if (buckets_ != &single_bucket_) {
        delete[] buckets_;
    }
}

Result<EntryRef> Directory::find(Entry&, std::string_view name) {
    const std::uint32_t hash = hash_of(name);
    for (Entry* entry = buckets_[hash & (bucket_count_ - 1)]; entry != nullptr;
         entry = entry->chain_) {
        if (entry->hash_ == hash && entry->name() == name) {
            return EntryRef{entry};
        }
    }
    return fail(Errno::noent);
}

void Directory::list(std::uint64_t position, DirectoryVisitor& visitor) {
    for (const Entry* entry = first_; entry != nullptr; entry = entry->next_) {
        if (entry->position_ < position) {
            continue;
        }
        const DirectoryItem item{entry->name(), entry->inode().attributes.number,
                                 entry->inode().type(), entry->position_ + 1};
        if (visitor.visit(item) == DirectoryVisitor::Answer::stop) {
            return;
        }
    }
}

void Directory::insert(Entry& entry) noexcept {
    // A directory comes with a link count of two, for its name and its ".".
    ++(entry.inode().type() == FileType::directory ? attributes : entry.inode().attributes)
          .link_count;
    insert_counted(entry);
}

void Directory::remove(Entry& entry) noexcept {
    if (entry.inode().type() == FileType::directory) {
        entry.inode().attributes.link_count = 0;
        --attributes.link_count;
    } else {
        --entry.inode().attributes.link_count;
    }
    unlink(entry);
    entry.release();
}

Result<void> Directory::move_here(Entry& self, Directory& from, Entry& entry,
                                  std::string_view name) {
    // The name first: it can fail, and the buckets go by its hash.
    const std::uint32_t old_hash = entry.hash_;
    const EntryRef keep{&entry};
    from.unlink(entry);
    if (!entry.set_name(name, NameMemory::copy)) {
        entry.hash_ = old_hash;
        from.link(entry);
        return fail(Errno::nomem);
    }
    if (entry.inode().type() == FileType::directory) {
        --from.attributes.link_count;
        ++attributes.link_count;
    }
    entry.parent_ = EntryRef{&self};
    link(entry);
    return {};
}

void Directory::link(Entry& entry) noexcept {
    if (count_ >= 2 * bucket_count_) {
        grow();
    }
    Entry*& bucket = buckets_[entry.hash_ & (bucket_count_ - 1)];
    entry.chain_ = bucket;
    bucket = &entry;
    entry.previous_ = last_;
    entry.next_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_) = &entry;
    last_ = &entry;
    entry.position_ = next_position_++;
    entry.is_linked_ = true;
    ++count_;
}

void Directory::unlink(Entry& entry) noexcept {
    Entry** at = &buckets_[entry.hash_ & (bucket_count_ - 1)];
    while (*at != &entry) {
        at = &(*at)->chain_;
    }
    *at = entry.chain_;
    (entry.previous_ == nullptr ? first_ : entry.previous_->next_) = entry.next_;
    (entry.next_ == nullptr ? last_ : entry.next_->previous_) = entry.previous_;
    entry.is_linked_ = false;
    --count_;
}

// Without memory the chains just grow longer.
void Directory::grow() noexcept {
    const std::size_t wanted = bucket_count_ * 8;
    auto* buckets = new (std::nothrow_t{}) Entry*[wanted]();
    if (buckets == nullptr) {
        return;
    }
    for (Entry* entry = first_; entry != nullptr; entry = entry->next_) {
        Entry*& bucket = buckets[entry->hash_ & (wanted - 1)];
        entry->chain_ = bucket;
        bucket = entry;
    }
    if (buckets_ != &single_bucket_) {
        delete[] buckets_;
    }
    buckets_ = buckets;
    bucket_count_ = wanted;
}

}  // namespace shoal::guest
