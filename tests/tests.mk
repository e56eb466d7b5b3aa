# Tests, fuzz targets and measurements.

FUZZ_SECONDS ?= 60

# ---- unit tests, plain and under the sanitizers -------------------------------------------------

unit_variants := build/tests/unit build/asan-ubsan/tests/unit build/tsan/tests/unit

.PHONY: test test-unit test-system test-nested sim fuzz fuzz-keep bench unit-sanitized
# One make for both, which share most objects.
sanitized := build/asan-ubsan/tests/unit build/asan-ubsan/shoal-vmm
$(sanitized) &: force
	@+$(MAKE) --no-print-directory SANITIZE=address,undefined $(sanitized)
build/tsan/tests/unit: force
	@+$(MAKE) --no-print-directory SANITIZE=thread $@

# ---- the control plane under a simulated cluster ------------------------------------------------

sim_srcs := $(wildcard tests/sim/*.cpp)

build/tests/sim: $(call objects,$(sim_srcs) $(wildcard controlplane/scheduler/*.cpp controlplane/failover/*.cpp) $(wildcard controlplane/model/*.cpp) \
		$(wildcard devices/host/*.cpp) $(boost_json)) build/libstore.a
	$(call link,,build/libstore.a $(STORE_LIBS) -pthread)

-include $(patsubst %,build/obj/%.d,$(sim_srcs))

# ---- real Linux programs for the system tests ---------------------------------------------------

test_programs := $(patsubst tests/system/programs/%,build/tests/programs/%,$(basename \
	$(wildcard tests/system/programs/*.c tests/system/programs/*.cpp))) \
	$(patsubst tests/nested/programs/%.c,build/tests/programs/%,$(wildcard tests/nested/programs/*.c)) \
	$(patsubst %,build/tests/programs/%-glibc,cpus threads signals processes many_threads vdso linux_calls)

build/tests/programs/%: tests/system/programs/%.c | setup
	@mkdir -p $(@D)
	@echo "  MUSL  $@"
	@musl-gcc -static -O2 -Wall -Wextra -Werror -o $@ $<

build/tests/programs/vsock_guest build/tests/programs/exec_liar: tests/system/programs/vm_sockets.h

# The other C library calls the kernel in other ways.
build/tests/programs/%-glibc: tests/system/programs/%.c | setup
	@mkdir -p $(@D)
	@echo "  GLIBC $@"
	@gcc -static -pthread -O2 -Wall -Wextra -Werror -o $@ $<

# With Linux's headers, which musl-gcc does not find.
build/tests/programs/%: tests/nested/programs/%.c | setup
	@mkdir -p $(@D)
	@echo "  CC    $@"
	@gcc -static -O2 -Wall -Wextra -Werror -o $@ $<

build/tests/programs/%: tests/system/programs/%.cpp | setup
	@mkdir -p $(@D)
	@echo "  CXX   $@"
	@$(CXX) -static -std=c++23 -O2 -Wall -Wextra -Werror -o $@ $<

# ---- guests for the system tests: without an operating system, loaded by PVH ---------------------

# Ring 0 may be emulated (see vcpu_thread.cpp): no vector registers, and small rather than fast.
TEST_GUEST_CXXFLAGS := -std=c++23 -Os -g1 $(WARNINGS) -I. -ffreestanding -fno-exceptions -fno-rtti \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone \
	-fno-pic -mgeneral-regs-only -fno-tree-loop-distribute-patterns
TEST_GUEST_LDFLAGS := -nostdlib -static -no-pie \
	-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments
hostile_objects := $(patsubst %,build/tests/obj/%.o,$(wildcard tests/system/guests/hostile/*.cpp \
	tests/system/guests/hostile/*.S))
test_guests := build/tests/guests/hostile.elf

build/tests/obj/%.cpp.o: %.cpp tests/tests.mk | setup
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) $(TEST_GUEST_CXXFLAGS) -MMD -MP -c -o $@ $<

build/tests/obj/%.S.o: %.S tests/tests.mk | setup
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) -g1 -I. -MMD -MP -c -o $@ $<

build/tests/guests/hostile.elf: tests/system/guests/hostile/guest.lds $(hostile_objects)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(TEST_GUEST_LDFLAGS) -T $< -o $@ $(hostile_objects)

-include $(hostile_objects:.o=.d)

# ---- fuzz targets: libFuzzer, one file each -----------------------------------------------------

# What the parsers under test need; compiled by clang with the same sanitizers.
fuzz_library_srcs := $(wildcard $(addsuffix /*.cpp,$(DEVICE_FOLDERS)) firmware/*.cpp \
	vmm/boot/*.cpp vmm/api/*.cpp vmm/state/*.cpp vmm/migration/*.cpp) $(GUEST_HOST_SRCS) vmm/jail/filter_file.cpp vmm/jail/filters.cpp \
	vmm/machine/page_set.cpp vmm/machine/page_filler.cpp vmm/machine/userfaultfd.cpp \
	controlplane/cli/manifest.cpp controlplane/cli/document.cpp controlplane/cli/elf_file.cpp \
	controlplane/cli/library_cache.cpp controlplane/cli/ready_tables.cpp \
	controlplane/cli/cpio_writer.cpp \
	controlplane/model/json.cpp controlplane/http/target.cpp controlplane/network/subnet.cpp \
	controlplane/exec/frame.cpp controlplane/exec/start.cpp controlplane/supervisor/first_request.cpp \
	controlplane/node/process/run_folder.cpp controlplane/node/rfc3339.cpp controlplane/node/mirror/attempt.cpp \
	controlplane/node/memory_state.cpp controlplane/node/process/process_identity.cpp \
	controlplane/node/process/child_process.cpp controlplane/pki/authority.cpp controlplane/pki/openssl.cpp \
	controlplane/store/etcd_answer.cpp controlplane/store/base64.cpp controlplane/peer/endpoint.cpp \
	controlplane/image/oci_layout.cpp controlplane/image/guarded_child.cpp \
	controlplane/content/sha256.cpp controlplane/checkpoint/page_sums.cpp \
	controlplane/checkpoint/difference.cpp
fuzz_objects := $(patsubst %,build/fuzz/obj/%.o,$(fuzz_library_srcs))
fuzz_targets := $(patsubst tests/fuzz/%_fuzz.cpp,build/fuzz/%,$(fuzz_srcs))
FUZZ_CXXFLAGS := $(CLANG_CXXFLAGS) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all

build/fuzz/obj/%.cpp.o: %.cpp Makefile tests/tests.mk | setup
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	@$(CLANGXX) $(FUZZ_CXXFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

build/fuzz/library.a: $(fuzz_objects)
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

$(fuzz_targets): build/fuzz/%: build/fuzz/obj/tests/fuzz/%_fuzz.cpp.o build/fuzz/library.a
	@echo "  LINK  $@"
	@$(CLANGXX) $(FUZZ_CXXFLAGS) -fsanitize=fuzzer -o $@ $^ -lfdt -luring -lz -lyaml-cpp -lssl -lcrypto -lzstd

-include $(wildcard $(patsubst %,build/fuzz/obj/%.d,$(fuzz_library_srcs) $(fuzz_srcs)))

# ---- suites: scripts/test runs the ones it is told and adds up ----------------------------------

# In CI the fuzz targets are part of `make test`.
ci_suites := $(if $(CI),fuzz)
ci_needs := $(if $(CI),$(fuzz_targets))

# Hostile guests attack a monitor with sanitizers, too.
system_needs := $(test_programs) $(test_guests) build/asan-ubsan/shoal-vmm build/tests/servers \
	build/cluster/answer

build/tests/servers: scripts/fetch-servers | setup
	@scripts/fetch-servers

test: all $(unit_variants) build/tests/sim $(system_needs) $(ci_needs)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/test unit asan-ubsan tsan sim system $(ci_suites) nested

test-unit: $(unit_variants)
	@scripts/test unit asan-ubsan tsan

sim: build/tests/sim
	@scripts/test sim

test-system: all $(system_needs)
	@scripts/test system

test-nested: all build/tests/unit $(system_needs)
	@scripts/test nested

fuzz: $(fuzz_targets)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/test fuzz

# What they found becomes part of what they begin with.
fuzz-keep: $(fuzz_targets)
	@scripts/fuzz-keep

# ---- measurements -------------------------------------------------------------------------------

bench_programs := $(patsubst tests/bench/%.c,build/bench/programs/%,$(wildcard tests/bench/*.c)) \
	$(patsubst tests/bench/guest/%.c,build/bench/guest/%,$(wildcard tests/bench/guest/*.c)) \
	build/bench/programs/scheduler

build/bench/programs/%: tests/bench/%.c | setup
	@mkdir -p $(@D)
	@echo "  CC    $@"
	@gcc -static -O2 -Wall -Wextra -Werror -o $@ $<

build/bench/guest/%: tests/bench/guest/%.c | setup
	@mkdir -p $(@D)
	@echo "  CC    $@"
	@gcc -static -O2 -Wall -Wextra -Werror -o $@ $< -luring

build/bench/programs/scheduler: build/obj/tests/bench/scheduler.cpp.o \
	$(call objects,$(wildcard controlplane/scheduler/*.cpp))
	$(call link)

-include build/obj/tests/bench/scheduler.cpp.d

bench: all build/tests/sim $(bench_programs) $(test_programs) build/tests/servers
	@tests/bench/run
