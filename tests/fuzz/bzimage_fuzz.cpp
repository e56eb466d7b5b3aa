// Fuzzes the bzimage loader: it loads or throws BootError, and never touches what is not guest
// memory.
#include "vmm/boot/bzimage.h"

#include "tests/fuzz/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal;
    static fuzz::InputFile input;
    input.set(data, size);
    try {
        const boot::ImageFile file{"kernel", input.path()};
        static_cast<void>(boot::load_bzimage(fuzz::guest_memory(), file));
    } catch (const boot::BootError&) {
    }
    return 0;
}
