# Tests, fuzz targets and measurements.

FUZZ_SECONDS ?= 60
fuzz_targets := $(patsubst tests/fuzz/%_fuzz.cpp,build/fuzz/%,$(fuzz_srcs))
# In CI the fuzz targets are part of `make test`.
ci_suites := $(if $(CI),fuzz)
ci_needs := $(if $(CI),$(fuzz_targets))

# ---- unit tests, plain and under the sanitizers -------------------------------------------------

unit_variants := build/tests/unit build/asan-ubsan/tests/unit build/tsan/tests/unit

.PHONY: test test-unit test-system test-nested sim fuzz fuzz-keep bench unit-sanitized
# One make for what shares objects.
sanitized := build/asan-ubsan/tests/unit build/asan-ubsan/shoal-vmm
with_sanitized := $(sanitized) $(ci_needs)
$(with_sanitized) &: force
	@+$(MAKE) --no-print-directory SANITIZE=address,undefined $(with_sanitized)
ifeq ($(ci_needs),)
$(fuzz_targets) &: force
	@+$(MAKE) --no-print-directory SANITIZE=address,undefined $(fuzz_targets)
endif
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

# ---- suites: scripts/test runs the ones it is told and adds up ----------------------------------

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
