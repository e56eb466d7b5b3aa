// Fuzzes what `shoal run` reads of programs and libraries.
#include "controlplane/cli/elf_file.h"

#include <fcntl.h>

#include "controlplane/cli/cli_error.h"
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
    static const host::UniqueFd nowhere{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
    cli::CpioWriter archive{nowhere.get(), 1ULL << 30};
    try {
        cli::ReadyTables{archive}.add(file.get(), "file", 0, size);
    } catch (const cli::CliError&) {  // shorter than it says
    }
    return 0;
}
