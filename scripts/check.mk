# make check: formatting, include directions, the table of system calls, clang-tidy.

CLANG_FORMAT := clang-format-14
CLANG_TIDY := clang-tidy-14

check_folders := $(wildcard devices firmware vmm guest controlplane tests)
formatted := $(call files,$(check_folders),*.cpp) $(call files,$(check_folders),*.h)

.PHONY: check check-format check-includes check-syscall-table check-tidy
check: check-format check-includes check-syscall-table check-tidy

check-format: | setup
	@$(CLANG_FORMAT) --dry-run -Werror $(formatted)
	@echo "formatting: $(words $(formatted)) files are as .clang-format wants them"

check-includes: | setup
	@scripts/check-includes

check-syscall-table:
	@scripts/syscall-table --check

# A file is looked at again when its object is: that is, when it or a header of it changed.
tidy_host := $(patsubst %,build/tidy/%.ok,$(sort $(vmm_srcs) $(cli_srcs) $(join_srcs) \
	$(shoald_srcs) $(supervisor_srcs) $(exec_agent_srcs) $(store_srcs)))
tidy_guest := $(patsubst %,build/tidy/%.ok,$(filter %.cpp,$(guest_srcs) $(vdso_srcs)))
# Without -mgeneral-regs-only, with which clang cannot read the library's headers.
tidy_guest_flags := -std=c++2b -D__cpp_concepts=202002L -Wno-builtin-macro-redefined -I. \
	$(filter -D% -f%,$(filter-out -fno-stack-protector,$(GUEST_CXXFLAGS)))

$(tidy_host): build/tidy/%.ok: build/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY  $*"
	@$(CLANG_TIDY) --quiet $* -- $(CLANG_CXXFLAGS) $(CLANG_PRELUDE) 2> $@.log || (cat $@.log; false)
	@touch $@

$(tidy_guest): build/tidy/%.ok: build/guest/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY  $*"
	@$(CLANG_TIDY) --quiet $* -- $(tidy_guest_flags) $(if $(filter guest/net/%,$*),$(lwip_includes)) 2> $@.log || (cat $@.log; false)
	@touch $@

check-tidy: $(tidy_host) $(tidy_guest)
	@echo "clang-tidy: $(words $^) files"
