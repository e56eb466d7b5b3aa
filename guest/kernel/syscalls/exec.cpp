// execve(2).
#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "guest/kernel/process_table.h"
#include "guest/kernel/program.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/script.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/syscalls/files_support.h"
#include "guest/kernel/syscalls/futex.h"

namespace shoal::guest {
namespace {

constexpr std::size_t words_limit_bytes = 1U << 20;  // as make_initial_stack() has it

// What a program is started with. The words lie in `words`.
struct Start {
    Ref<Words> words;
    EntryRef file;
    std::string_view path;
    std::vector<std::string_view> arguments{};
    std::vector<std::string_view> environment{};
};

std::string_view keep(Words& words, std::vector<char> string) {
    words.size_bytes += string.size();
    const std::vector<char>& kept = words.strings.emplace_back(std::move(string));
    return {kept.data(), kept.size() - 1};
}

std::string_view add_word(Words& words, std::string_view text) {
    std::vector<char> string(text.begin(), text.end());
    string.push_back('\0');
    return keep(words, std::move(string));
}

Result<std::string_view> copy_word(Words& words, UserAddress from) {
    std::vector<char> string;
    for (std::size_t room = 64;; room *= 4) {
        string.resize(std::min(room, words_limit_bytes - words.size_bytes));
        const auto length = copy_string_from_user(string, from);
        if (length) {
            string.resize(*length + 1);
            return keep(words, std::move(string));
        }
        if (length.error() != Errno::nametoolong) {
            return fail(length.error());
        }
        if (string.size() < room) {
            return fail(Errno::toobig);
        }
    }
}

Result<void> copy_list(Words& words, UserAddress list, std::vector<std::string_view>& to) {
    for (; list != 0; list += sizeof(UserAddress)) {
        UserAddress word = 0;
        if (!copy_from_user(&word, list, sizeof word)) {
            return fail(Errno::fault);
        }
        if (word == 0) {
            break;
        }
        const auto copied = copy_word(words, word);
        if (!copied) {
            return fail(copied.error());
        }
        to.push_back(*copied);
    }
    return {};
}

Result<EntryRef> find_executable(const Process& process, std::string_view path) {
    const auto found =
        process.files.file_system.find(*process.files.working_directory, path, FollowLast::yes);
    if (!found) {
        return found;
    }
    const Inode& inode = (*found)->inode();
    const bool executable =
        inode.type() == FileType::regular && (inode.attributes.permissions & 0111) != 0;
    return executable ? found : fail(Errno::acces);
}

// `#! interpreter argument`: that becomes the program, the script its argument. True if it is one.
Result<bool> follow_script(const Process& process, Start& start) {
    std::array<char, script_line_max> bytes;
    const auto line = read_script_line(start.file->inode(), bytes);
    if (!line || line->interpreter.empty()) {
        return line ? Result<bool>{false} : fail(line.error());
    }
    std::vector<std::string_view> arguments{add_word(*start.words, line->interpreter)};
    if (!line->argument.empty()) {
        arguments.push_back(add_word(*start.words, line->argument));
    }
    arguments.push_back(start.path);
    if (!start.arguments.empty()) {
        arguments.insert(arguments.end(), start.arguments.begin() + 1, start.arguments.end());
    }
    start.path = arguments.front();
    start.arguments = std::move(arguments);
    const auto file = find_executable(process, start.path);
    if (!file) {
        return fail(file.error());
    }
    start.file = *file;
    return true;
}

Result<Start> fetch_start(const Process& process, const Arguments& args) {
    Start start{Ref{new Words}, {}, {}};
    const auto path = copy_word(*start.words, args[0]);
    if (!path || path->empty()) {
        return fail(path ? Errno::noent : path.error());
    }
    start.path = *path;
    auto file = find_executable(process, start.path);
    if (!file) {
        return fail(file.error());
    }
    start.file = *file;
    auto copied = copy_list(*start.words, args[1], start.arguments);
    if (copied) {
        copied = copy_list(*start.words, args[2], start.environment);
    }
    if (!copied) {
        return fail(copied.error());
    }
    for (unsigned depth = 0;; ++depth) {
        const auto is_script = follow_script(process, start);
        if (!is_script || !*is_script) {
            return is_script ? Result<Start>{std::move(start)} : fail(is_script.error());
        }
        if (depth == script_depth_max) {
            return fail(Errno::loop);
        }
    }
}

// Before other threads end for it. What else may be wrong shows when it is loaded.
bool is_program(const Inode& inode) {
    std::array<std::byte, sizeof(Elf64_Ehdr)> bytes{};
    Elf64_Ehdr header{};
    if (inode.read_at(0, bytes) != bytes.size()) {
        return false;
    }
    std::memcpy(&header, bytes.data(), sizeof header);
    return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64;
}

// Into the process's memory, which is new and selected.
Result<Registers> load(Process& process, const Start& start) {
    const auto program = load_program(*process.memory, process.files.file_system, start.file);
    if (!program) {
        return fail(program.error());
    }
    return make_initial_stack(*process.memory, *program,
                              {start.arguments, start.environment, start.path});
}

Result<void> end_others(Process& process) {
    end_other_threads();
    const auto is_alone = [&] {
        return process.threads.behind(*process.threads.first()) == nullptr;
    };
    return wait_until_true(process.thread_ended, no_deadline, is_alone) == Wake::woken
               ? Result<void>{}
               : fail(Errno::intr);
}

void close_on_exec(FileTable& table) {
    for (std::uint32_t descriptor = 0; descriptor < table.end(); ++descriptor) {
        if (table.find(descriptor) != nullptr && table.on_exec(descriptor) == OnExec::close) {
            static_cast<void>(table.close(descriptor));
        }
    }
}

// What a new program does not inherit.
void start_afresh(Process& process, Start& start) {
    Thread& self = current_thread();
    self.id = process.id;
    self.robust_list = self.clear_child_tid = 0;
    self.signals.stack = {};
    process.signals.reset_handlers();
    close_on_exec(process.files.table);
    std::erase_if(process.timers, [](const Timer& timer) { return timer.id != real_timer_id; });
    process.executable = start.file;
    process.arguments = std::move(start.arguments);
    process.environment = std::move(start.environment);
    process.words = start.words;
    const std::string_view name = start.path.substr(start.path.rfind('/') + 1);
    self.name = {};
    std::copy_n(name.begin(), std::min(name.size(), self.name.size() - 1), self.name.begin());
    self.vectors.set_initial();
    self.vectors.restore();
    set_fs_base(0);
    set_gs_base(0);
}

}  // namespace

std::int64_t sys_execve(Process& process, const Arguments& args) {
    auto start = fetch_start(process, args);
    if (!start) {
        return negative(start.error());
    }
    if (!is_program(start->file->inode())) {
        return negative(Errno::noexec);
    }
    auto memory = Ref{new ProgramMemory};
    if (!memory->is_sound()) {
        return negative(Errno::again);
    }
    if (const auto alone = end_others(process); !alone) {
        return negative(alone.error());
    }
    // From here on the memory is the new one, also while files are read and others run.
    const Ref<ProgramMemory> old = std::exchange(process.memory, memory);
    memory->select();
    const auto registers = load(process, *start);
    if (!registers) {
        process.memory = old;
        old->select();
        return negative(registers.error());
    }
    process.memory = old;
    old->select();
    release_futexes(current_thread());
    release_memory(process);
    process.memory = memory;
    memory->select();
    start_afresh(process, *start);
    current_thread().registers() = *registers;
    return 0;
}

}  // namespace shoal::guest
