// A list: there are few processes.
#include "guest/kernel/process_table.h"

#include "guest/kernel/proc_source.h"

namespace shoal::guest {
namespace {

constexpr int last_id = 32767;  // kernel.pid_max

constinit Queue<Process, &Process::table_link> processes{};
constinit unsigned count = 0;
constinit int last_taken = first_process_id;

}  // namespace

int take_id() {
    do {
        last_taken = last_taken == last_id ? first_process_id + 1 : last_taken + 1;
    } while (find_process(last_taken) != nullptr || find_thread(last_taken) != nullptr);
    return last_taken;
}

void add_process(Process& process) {
    processes.push_back(process);
    ++count;
    show_process(process);
}

void forget_process(Process& process) {
    hide_process(process);
    if (process.parent != nullptr) {
        process.parent->children.remove(process);
    }
    processes.remove(process);
    --count;
    delete &process;
}

Process* find_process(int id) {
    Process* process = processes.first();
    while (process != nullptr && process->id != id) {
        process = processes.behind(*process);
    }
    return process;
}

Thread* find_thread(int id) {
    for (Process* process = processes.first(); process != nullptr;
         process = processes.behind(*process)) {
        for (Thread* thread = process->threads.first(); thread != nullptr;
             thread = process->threads.behind(*thread)) {
            if (thread->id == id) {
                return thread;
            }
        }
    }
    return nullptr;
}

Process* first_process() {
    return processes.first();
}

Process* next_process(const Process& process) {
    return processes.behind(process);
}

void forget_shared_pages(const Inode& file) {
    for (const Process* each = processes.first(); each != nullptr; each = processes.behind(*each)) {
        if (each->memory) {
            each->memory->select();
            each->memory->forget_shared_pages(file);
        }
    }
    process().memory->select();
}

unsigned process_count() {
    return count;
}

}  // namespace shoal::guest
