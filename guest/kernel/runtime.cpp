// What freestanding C++ expects to be there: memory functions and operator new. The kernel heap
// hands out powers of two up to half a page, and whole pages above.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include "guest/kernel/panic.h"
#include "guest/kernel/physical_memory.h"

extern "C" {

// `rep` is fast on every CPU since 2013 (ERMS) and needs no vector registers.
void* memcpy(void* to, const void* from, std::size_t count) {
    void* result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return result;
}

void* memset(void* to, int value, std::size_t count) {
    void* result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    return result;
}

void* memmove(void* to, const void* from, std::size_t count) {
    auto* target = static_cast<unsigned char*>(to);
    const auto* source = static_cast<const unsigned char*>(from);
    if (target <= source || target >= source + count) {
        return memcpy(to, from, count);
    }
    for (; count >= 8; count -= 8) {
        std::uint64_t word;
        __builtin_memcpy(&word, source + count - 8, 8);
        __builtin_memcpy(target + count - 8, &word, 8);
    }
    while (count-- > 0) {
        target[count] = source[count];
    }
    return to;
}

int memcmp(const void* a, const void* b, std::size_t count) {
    const auto* x = static_cast<const unsigned char*>(a);
    const auto* y = static_cast<const unsigned char*>(b);
    for (std::size_t i = 0; i < count; ++i) {
        if (x[i] != y[i]) {
            return x[i] - y[i];
        }
    }
    return 0;
}

std::size_t strnlen(const char* text, std::size_t most) {
    std::size_t size = 0;
    while (size < most && text[size] != '\0') {
        ++size;
    }
    return size;
}

std::size_t strlen(const char* text) {
    std::size_t size = 0;
    while (text[size] != '\0') {
        ++size;
    }
    return size;
}

void* memchr(const void* in, int value, std::size_t count) {
    const auto* bytes = static_cast<const unsigned char*>(in);
    for (std::size_t i = 0; i < count; ++i) {
        if (bytes[i] == static_cast<unsigned char>(value)) {
            return const_cast<unsigned char*>(bytes + i);
        }
    }
    return nullptr;
}

// libz is built with the stack protector.
[[noreturn]] void __stack_chk_fail() {
    shoal::guest::panic("stack smashed");
}
[[noreturn]] void __cxa_pure_virtual() {
    shoal::guest::panic("pure virtual call");
}
}

namespace shoal::guest {
namespace {

// Every block starts with its size class, so that free() needs no size.
struct Header {
    std::uint64_t size_class;  // log2 of the block's size, or pages + 64
    std::uint64_t padding;
};
struct FreeBlock {
    FreeBlock* next;
};

constexpr unsigned smallest_class = 5;  // 32 bytes
constexpr unsigned largest_class = 11;  // 2 KiB
constinit FreeBlock* free_blocks[largest_class + 1] = {};
// Blocks of whole pages that came back, by their number. Contiguous pages are hard to find again.
constexpr std::size_t kept_pages = 32;
constinit FreeBlock* free_runs[kept_pages + 1] = {};

void* allocate_pages(std::size_t pages) {
    if (pages <= kept_pages && free_runs[pages] != nullptr) {
        FreeBlock* block = free_runs[pages];
        free_runs[pages] = block->next;
        return block;
    }
    return shoal::guest::physical_memory.allocate_contiguous(pages);
}

void refill(std::uint64_t size_class) {
    auto* page = static_cast<std::byte*>(physical_memory.allocate_page());
    if (page == nullptr) {
        return;
    }
    for (std::size_t offset = 0; offset < page_size; offset += 1ULL << size_class) {
        auto* block = reinterpret_cast<FreeBlock*>(page + offset);
        block->next = free_blocks[size_class];
        free_blocks[size_class] = block;
    }
}

// nullptr when memory is gone.
void* allocate(std::size_t size) {
    if (size > 1ULL << 40) {
        return nullptr;
    }
    const std::size_t total = size + sizeof(Header);
    std::uint64_t size_class = total <= 1U << smallest_class
                                   ? smallest_class
                                   : static_cast<std::uint64_t>(std::bit_width(total - 1));
    void* block = nullptr;
    if (size_class <= largest_class) {
        if (free_blocks[size_class] == nullptr) {
            refill(size_class);
        }
        block = free_blocks[size_class];
        if (block != nullptr) {
            free_blocks[size_class] = free_blocks[size_class]->next;
        }
    } else {
        const std::size_t pages = (total + page_size - 1) / page_size;
        block = allocate_pages(pages);
        size_class = pages + 64;
    }
    if (block == nullptr) {
        return nullptr;
    }
    auto* header = static_cast<Header*>(block);
    header->size_class = size_class;
    return header + 1;
}

void* allocate_or_panic(std::size_t size) {
    void* block = allocate(size);
    if (block == nullptr) {
        panic("out of memory; bytes asked for", size);
    }
    return block;
}

void release(void* pointer) {
    if (pointer == nullptr) {
        return;
    }
    Header* header = static_cast<Header*>(pointer) - 1;
    if (header->size_class <= largest_class) {
        const std::uint64_t size_class = header->size_class;
        auto* block = reinterpret_cast<FreeBlock*>(header);
        block->next = free_blocks[size_class];
        free_blocks[size_class] = block;
        return;
    }
    const std::uint64_t pages = header->size_class - 64;
    if (pages <= kept_pages) {
        auto* block = reinterpret_cast<FreeBlock*>(header);
        block->next = free_runs[pages];
        free_runs[pages] = block;
        return;
    }
    for (std::uint64_t i = 0; i < pages; ++i) {
        physical_memory.free_page(reinterpret_cast<std::byte*>(header) + i * page_size);
    }
}

}  // namespace
}  // namespace shoal::guest

void* operator new(std::size_t size) {
    return shoal::guest::allocate_or_panic(size);
}
void* operator new[](std::size_t size) {
    return shoal::guest::allocate_or_panic(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return shoal::guest::allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return shoal::guest::allocate(size);
}
void operator delete(void* pointer) noexcept {
    shoal::guest::release(pointer);
}
void operator delete[](void* pointer) noexcept {
    shoal::guest::release(pointer);
}
void operator delete(void* pointer, std::size_t) noexcept {
    shoal::guest::release(pointer);
}
void operator delete[](void* pointer, std::size_t) noexcept {
    shoal::guest::release(pointer);
}

// libstdc++'s headers call these where hosted code would throw.
namespace std {
void __throw_length_error(const char* what) {
    shoal::guest::panic(what);
}
void __throw_bad_alloc() {
    shoal::guest::panic("out of memory");
}
void __throw_bad_array_new_length() {
    shoal::guest::panic("out of memory");
}
void __throw_out_of_range_fmt(const char* what, ...) {
    shoal::guest::panic(what);
}
void __throw_logic_error(const char* what) {
    shoal::guest::panic(what);
}
void __throw_bad_optional_access() {
    shoal::guest::panic("empty optional");
}
void __glibcxx_assert_fail(const char* file, int line, const char*, const char*) {
    shoal::guest::panic(file, static_cast<std::uint64_t>(line));
}
}  // namespace std
