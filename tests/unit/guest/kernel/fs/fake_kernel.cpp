// The faked kernel: pages from the host's heap, a program's memory in an array.
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "guest/kernel/fs/regular_file.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/pages.h"

namespace shoal::guest {
namespace fake {

std::uint32_t caller_pid = 1;
int shared_pages_forgotten = 0;
std::size_t pages_left = std::numeric_limits<std::size_t>::max();
std::size_t pages_in_use = 0;

namespace {

std::vector<std::byte>& user_memory() {
    static std::vector<std::byte> memory(user_size);
    return memory;
}

bool is_user(UserAddress at, std::size_t size) {
    return at >= user_start && at - user_start <= user_size &&
           size <= user_size - (at - user_start);
}

}  // namespace

std::span<std::byte> user_bytes(UserAddress at, std::size_t size) {
    if (!is_user(at, size)) {
        throw std::out_of_range("not the program's memory");
    }
    return std::span{user_memory()}.subspan(at - user_start, size);
}

UserAddress put_user(UserAddress at, std::string_view bytes) {
    std::memcpy(user_bytes(at, bytes.size()).data(), bytes.data(), bytes.size());
    return at;
}

std::string get_user(UserAddress at, std::size_t size) {
    std::string result(size, '\0');
    std::memcpy(result.data(), user_bytes(at, size).data(), size);
    return result;
}

Timestamp now() {
    static std::int64_t seconds = 1'700'000'000;
    return {++seconds, 7};
}

void fill_random(std::span<std::byte> bytes) {
    static std::uint8_t next = 0;
    for (std::byte& b : bytes) {
        b = std::byte{++next};
    }
}

Result<std::size_t> Console::write(ConsoleStream stream, std::span<const std::byte> bytes) {
    bytes = bytes.first(std::min(bytes.size(), write_limit));
    if (bytes.empty()) {
        return fail(Errno::pipe);
    }
    std::string& to = stream == ConsoleStream::error ? errors : output;
    to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return bytes.size();
}

Result<std::size_t> Console::read(std::span<std::byte> to) {
    if (!has_input()) {
        return fail(Errno::again);
    }
    const std::size_t count = std::min(to.size(), input.size());
    std::memcpy(to.data(), input.data(), count);
    input.erase(0, count);
    return count;
}

bool Console::is_tty(ConsoleStream stream) const {
    return (ttys >> static_cast<std::uint32_t>(stream) & 1) != 0;
}

Kernel::Kernel() {
    if (!devices.populate() || !populate_proc(files, source) ||
        !devices.open_standard_streams(source.table)) {
        throw std::runtime_error("the fake kernel cannot start");
    }
}

std::string content_of(const Inode& inode) {
    std::string content(inode.size(), '?');
    content.resize(inode.read_at(0, std::as_writable_bytes(std::span{content})));
    return content;
}

std::string content_of(const FileSystem& files, std::string_view path) {
    const auto found = files.find(path);
    return found ? content_of((*found)->inode())
                 : "errno " + std::to_string(static_cast<int>(found.error()));
}

EntryRef put_file(FileSystem& files, std::string_view path, std::string_view content) {
    const auto place = files.walk(files.root(), path, FollowLast::yes);
    if (!place) {
        throw std::runtime_error("no place for the file");
    }
    const auto entry = place->entry ? Result<EntryRef>{place->entry}
                                    : files.add(*place, files.make_inode<RegularFile>(0644U));
    const auto file = OpenFile::open(*entry, open_flags::read_write);
    SpanSource source{std::as_bytes(std::span{content})};
    if (!(*entry)->inode().resize(0) ||
        !(*entry)->inode().write(**file, 0, source, content.size())) {
        throw std::runtime_error("the file cannot be written");
    }
    return *entry;
}

std::string read_all(const FileSystem& files, std::string_view path) {
    const auto found = files.find(path);
    const auto file = found ? OpenFile::open(*found, open_flags::read_only) : fail(found.error());
    if (!file) {
        return "errno " + std::to_string(static_cast<int>(file.error()));
    }
    std::string content(1U << 16, '\0');
    SpanDestination to{std::as_writable_bytes(std::span{content})};
    const auto count = (*file)->inode().read(**file, 0, to, content.size());
    if (!count) {
        return "errno " + std::to_string(static_cast<int>(count.error()));
    }
    content.resize(*count);
    return content;
}

std::string names_in(const FileSystem& files, std::string_view path) {
    struct Names final : DirectoryVisitor {
        Answer visit(const DirectoryItem& item) override {
            all.append(item.name).append(" ");
            return Answer::more;
        }
        std::string all;
    } names;
    (*files.find(path))->inode().as_directory()->list(0, names);
    return names.all;
}

}  // namespace fake

Credentials own_credentials() noexcept {
    return {fake::caller_pid, 0, 0};
}

void forget_shared_pages(const Inode&) {
    ++fake::shared_pages_forgotten;
}

void* allocate_file_page() {
    return allocate_page();
}

void* allocate_page() {
    if (fake::pages_left == 0) {
        return nullptr;
    }
    --fake::pages_left;
    ++fake::pages_in_use;
    void* page = std::aligned_alloc(4096, 4096);
    std::memset(page, 0, 4096);
    return page;
}

void free_page(void* page) {
    --fake::pages_in_use;
    ++fake::pages_left;
    std::free(page);
}

bool copy_from_user(void* to, UserAddress from, std::size_t size_bytes) {
    if (!fake::is_user(from, size_bytes)) {
        return false;
    }
    std::memcpy(to, fake::user_bytes(from, size_bytes).data(), size_bytes);
    return true;
}

bool copy_to_user(UserAddress to, const void* from, std::size_t size_bytes) {
    if (!fake::is_user(to, size_bytes)) {
        return false;
    }
    std::memcpy(fake::user_bytes(to, size_bytes).data(), from, size_bytes);
    return true;
}

bool clear_user(UserAddress to, std::size_t size_bytes) {
    if (!fake::is_user(to, size_bytes)) {
        return false;
    }
    std::ranges::fill(fake::user_bytes(to, size_bytes), std::byte{0});
    return true;
}

Result<std::size_t> copy_string_from_user(std::span<char> to, UserAddress from) {
    for (std::size_t i = 0; i < to.size(); ++i) {
        if (!copy_from_user(&to[i], from + i, 1)) {
            return fail(Errno::fault);
        }
        if (to[i] == '\0') {
            return i;
        }
    }
    return fail(Errno::nametoolong);
}

}  // namespace shoal::guest
