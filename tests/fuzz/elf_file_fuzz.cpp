// Fuzzes what `shoal run` reads of programs and libraries.
#include "controlplane/cli/elf_file.h"

#include <fcntl.h>

#include "controlplane/cli/ready_tables.h"
#include "tests/fuzz/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal;
    static fuzz::InputFile input;
    input.set(data, size);
    static const host::UniqueFd file{::open(input.path().c_str(), O_RDONLY | O_CLOEXEC)};
    try {
        const cli::ElfFile elf = cli::read_elf_file(file.get());
        if (elf.interpreter.size() > 4096 || elf.needed.size() > 1024) {
            __builtin_trap();
        }
    } catch (const cli::ElfError&) {
    }
    cli::ReadyTables tables;
    tables.add(file.get(), 0, size / 4096);
    static_cast<void>(tables.lines(0));
    return 0;
}
