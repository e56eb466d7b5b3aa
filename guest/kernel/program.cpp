// A program and its interpreter.
#include "guest/kernel/program.h"

#include "guest/kernel/elf_image.h"
#include "guest/kernel/vdso.h"

namespace shoal::guest {
namespace {

// An interpreter has no interpreter of its own.
Result<ElfImage> map_interpreter(AddressSpace& space, const FileSystem& files,
                                 std::string_view path) {
    const auto found = files.find(path);
    if (!found) {
        return fail(found.error());
    }
    const auto image = map_elf_image(space, *found, ImageRole::interpreter);
    return !image && image.error() == Errno::noexec ? fail(Errno::libbad) : image;
}

}  // namespace

Result<LoadedProgram> load_program(AddressSpace& space, const FileSystem& files,
                                   const EntryRef& file) {
    const auto image = map_elf_image(space, file, ImageRole::program);
    if (!image) {
        return fail(image.error());
    }
    LoadedProgram program{
        image->entry, image->entry, 0, image->program_headers, image->program_header_count, 0};
    if (!image->interpreter.empty()) {
        const auto interpreter =
            map_interpreter(space, files, {image->interpreter.data(), image->interpreter.size()});
        if (!interpreter) {
            return fail(interpreter.error());
        }
        program.start = interpreter->entry;
        program.interpreter_base = interpreter->base;
    }
    const auto vdso = map_vdso(space);
    if (!vdso) {
        return fail(vdso.error());
    }
    program.vdso = *vdso;
    return program;
}

}  // namespace shoal::guest
