// What lwIP calls: memory, time, random numbers, and the end when its own checks fail.
#include <lwip/sys.h>

#include <cstring>
#include <new>

#include "guest/kernel/clock.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/random.h"
#include "guest/net/memory_limit.h"

namespace {

using namespace shoal::guest;

constexpr std::uint64_t nanoseconds_per_millisecond = 1'000'000;

}  // namespace

extern "C" {

void* shoal_net_allocate(std::size_t size_bytes) {
    return net::may_take_memory() ? ::operator new (size_bytes, std::nothrow_t{}) : nullptr;
}

void* shoal_net_allocate_zeroed(std::size_t count, std::size_t size_bytes) {
    void* memory = shoal_net_allocate(count * size_bytes);
    if (memory != nullptr) {
        std::memset(memory, 0, count * size_bytes);
    }
    return memory;
}

void shoal_net_free(void* pointer) {
    ::operator delete(pointer);
}

std::uint32_t shoal_net_random() {
    std::uint32_t number = 0;
    fill_random(std::as_writable_bytes(std::span{&number, 1}));
    return number;
}

void shoal_net_assertion(const char* what, int line) {
    panic(what, static_cast<std::uint64_t>(line));
}

u32_t sys_now() {
    return static_cast<u32_t>(monotonic_ns() / nanoseconds_per_millisecond);
}

}  // extern "C"
