// Threads: their blocks, and how the CPU goes from one to another.
#include "guest/kernel/sched/thread.h"

#include <new>
#include <span>

#include "guest/kernel/panic.h"
#include "guest/kernel/physical_memory.h"
#include "guest/kernel/process.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/cpu_time.h"
#include "guest/kernel/sched/cpus.h"

extern "C" {
extern std::byte shoal_first_stack[shoal::guest::kernel_stack_bytes];
extern std::byte* shoal_kernel_stack;
void shoal_switch_stack(std::uint64_t* save, std::uint64_t load);
[[noreturn]] void shoal_idle();
}

namespace shoal::guest {
namespace {

constexpr std::size_t head_bytes = page_size;
constexpr std::size_t block_pages = (head_bytes + kernel_stack_bytes) / page_size;
constexpr std::uint64_t canary = 0x5A0A'1CA7'A57A'C4ED;  // at the stack's lowest address
constexpr std::size_t callee_saved = 6;                  // what shoal_switch_stack pops
static_assert(sizeof(Thread) <= head_bytes);

struct FreeBlock {
    FreeBlock* next;
};

alignas(Thread) constinit std::array<std::byte, sizeof(Thread)> first_storage{};
SHOAL_PER_CPU constinit Thread* current = nullptr;
constinit FreeBlock* free_blocks = nullptr;
constinit unsigned blocks = 0;

void* allocate_block() {
    if (free_blocks != nullptr) {
        FreeBlock* block = free_blocks;
        free_blocks = block->next;
        return block;
    }
    void* block =
        blocks + 1 < thread_limit ? physical_memory.allocate_contiguous(block_pages) : nullptr;
    blocks += block != nullptr ? 1 : 0;
    return block;
}

void set_stack(Thread& thread, std::byte* stack) {
    thread.stack = stack;
    *reinterpret_cast<std::uint64_t*>(stack) = canary;
}

// The registers lie where the kernel's code does not put anything.
void check_stack(const Thread& thread) {
    if (*reinterpret_cast<const std::uint64_t*>(thread.stack) != canary) {
        panic("a kernel stack was too small, of thread", static_cast<std::uint64_t>(thread.id));
    }
}

// One that begins at `start`, with the place for the registers free above its stack pointer.
Thread* make_unlisted_thread(Process& process, int id, void (*start)()) {
    auto* block = static_cast<std::byte*>(allocate_block());
    if (block == nullptr) {
        return nullptr;
    }
    auto* thread = new (block) Thread{process, id};
    set_stack(*thread, block + head_bytes);
    auto* frame = reinterpret_cast<std::uint64_t*>(&thread->registers()) - (callee_saved + 1);
    frame[callee_saved] = reinterpret_cast<std::uint64_t>(start);
    thread->stack_pointer = reinterpret_cast<std::uint64_t>(frame);
    return thread;
}

}  // namespace

Thread& current_thread() {
    return *current;
}

void make_first_thread(Process& process) {
    current = new (first_storage.data()) Thread{process, first_process_id};
    current->state = Thread::State::running;
    current->cpu = &this_cpu();
    this_cpu().running = current;
    skip_cpu_time();
    set_stack(*current, shoal_first_stack);
    process.threads.push_back(*current);
}

Thread* make_thread(Process& process, int id) {
    Thread* const thread = make_unlisted_thread(process, id, shoal_resume);
    if (thread != nullptr) {
        process.threads.push_back(*thread);
    }
    return thread;
}

void free_thread(Thread& thread) {
    check_stack(thread);
    keep_cpu_time(thread);
    thread.process->threads.remove(thread);
    if (thread.stack == shoal_first_stack) {
        return;
    }
    auto* block = reinterpret_cast<FreeBlock*>(thread.stack - head_bytes);
    thread.~Thread();
    block->next = free_blocks;
    free_blocks = block;
}

Thread* make_idle_thread() {
    Thread* const thread = make_unlisted_thread(*find_process(first_process_id), 0, shoal_idle);
    if (thread != nullptr) {
        thread->vectors.set_initial();
    }
    return thread;
}

void start_with(Thread& idle, std::byte* page) {
    in_page(page, current) = &idle;
    in_page(page, shoal_kernel_stack) = idle.stack + kernel_stack_bytes;
}

void switch_to(Thread& next) {
    Thread& self = *current;
    check_stack(self);
    self.vectors.save();
    self.fs = fs_base();
    self.gs = gs_base();
    count_cpu_time();
    self.cpu = nullptr;
    next.cpu = &this_cpu();
    this_cpu().running = &next;
    current = &next;
    shoal_kernel_stack = next.stack + kernel_stack_bytes;
    if (&next != this_cpu().idle) {
        next.process->memory->select();
    }
    next.vectors.restore();
    set_fs_base(next.fs);
    set_gs_base(next.gs);
    shoal_switch_stack(&self.stack_pointer, next.stack_pointer);
}

}  // namespace shoal::guest
