// Fuzzes the initramfs: cpio and gzip archives into the guest kernel's file system.
#include <cstdlib>
#include <memory>
#include <vector>

#include "guest/kernel/fs/gzip.h"
#include "guest/kernel/fs/initramfs.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.cpp"
#include "tests/unit/guest/kernel/sched/fake_scheduler.cpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal::guest;
    // As in the guest, the archive starts on a page.
    auto* copy = static_cast<std::byte*>(std::aligned_alloc(4096, (size + 4096) & ~4095ULL));
    std::memcpy(copy, data, size);
    std::span<const std::byte> archive{copy, size};
    static std::vector<std::unique_ptr<std::byte[]>> allocated;  // the guest never gives it back
    allocated.clear();
    if (is_gzip(archive)) {
        const auto result = inflate_gzip(archive, [](std::size_t bytes) -> void* {
            if (bytes > 1 << 20) {
                return nullptr;
            }
            return allocated.emplace_back(std::make_unique<std::byte[]>(bytes + 1)).get();
        });
        archive = result ? *result : std::span<const std::byte>{};
    }
    {
        fake::Console console;
        FileSystem file_system{fake::now};
        Devices devices{file_system, console, fake::fill_random};
        fake::pages_left = 1000;
        static_cast<void>(unpack_initramfs(file_system, devices, archive));
    }
    std::free(copy);
    return 0;
}
