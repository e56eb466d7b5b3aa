# Builds, tests and installs Shoal: `make help`. One make for the whole tree, out of tree in build/.
#
# SANITIZE=address,undefined or SANITIZE=thread builds the host's code into a folder of its own.
# SETUP=no leaves the machine's packages alone (otherwise scripts/setup installs what is missing).

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
SETUP ?= yes

ifeq ($(SANITIZE),)
BUILD := build
else ifeq ($(SANITIZE),address,undefined)
BUILD := build/asan-ubsan
else ifeq ($(SANITIZE),thread)
BUILD := build/tsan
else
$(error SANITIZE is "$(SANITIZE)": it can be address,undefined or thread)
endif

# ---- sources: found by folder -------------------------------------------------------------------

files = $(sort $(shell find $(wildcard $(1)) -name '$(2)' -type f 2>/dev/null))

DEVICE_FOLDERS := devices/host devices/machine devices/backend devices/virtio devices/legacy
VMM_FOLDERS := $(DEVICE_FOLDERS) firmware vmm
vmm_srcs := $(if $(wildcard $(VMM_FOLDERS)),$(call files,$(VMM_FOLDERS),*.cpp))
cli_srcs := $(wildcard controlplane/cli/*.cpp controlplane/exec/*.cpp)
exec_agent_srcs := $(wildcard controlplane/exec_agent/*.cpp controlplane/exec/*.cpp)
join_srcs := $(wildcard controlplane/join/*.cpp controlplane/pki/*.cpp) controlplane/content/sha256.cpp \
	controlplane/peer/endpoint.cpp
shoald_srcs := $(call files,$(addprefix controlplane/,api checkpoint content exec failover http image \
	model network node peer pki scheduler shoald template volume),*.cpp)
# Boost.JSON itself, compiled once for everybody.
boost_json := vmm/api/json_library.cpp
supervisor_srcs := $(wildcard controlplane/supervisor/*.cpp) controlplane/node/process/run_folder.cpp \
	controlplane/node/process/process_identity.cpp
store_srcs := $(wildcard controlplane/store/*.cpp) controlplane/http/stream.cpp
STORE_LIBS := -lsqlite3 -lssl -lcrypto
main_srcs := vmm/main.cpp controlplane/cli/main.cpp controlplane/shoald/main.cpp \
	controlplane/supervisor/main.cpp controlplane/join/main.cpp controlplane/exec_agent/main.cpp
# What the unikernel does without hardware also runs in unit tests and under the fuzzer.
GUEST_HOST_SRCS := $(wildcard guest/kernel/fs/*.cpp guest/kernel/boot/*.cpp \
	guest/kernel/syscalls/files*.cpp guest/kernel/patch/syscall_site.cpp \
	guest/kernel/sched/wait_queue.cpp guest/kernel/sched/futex_table.cpp guest/kernel/script.cpp \
	guest/kernel/resource_limits.cpp guest/kernel/physical_memory.cpp \
	guest/kernel/physical_memory_free.cpp \
	guest/kernel/events/*.cpp guest/kernel/net/socket.cpp \
	guest/kernel/net/unix*.cpp guest/kernel/net/vsock_buffer.cpp \
	guest/kernel/net/netlink_answers.cpp guest/kernel/net/netlink_routes.cpp \
	guest/kernel/net/interface_requests.cpp \
	guest/kernel/syscalls/sockets*.cpp \
	guest/drivers/chain_queue.cpp guest/drivers/vsock_packet.cpp guest/net/tcp_checksum.cpp \
	guest/net/parked_pages.cpp guest/net/refused_datagram.cpp guest/net/tcp_batch.cpp)
unit_srcs := $(call files,tests/unit,*.cpp)
fuzz_srcs := $(wildcard tests/fuzz/*_fuzz.cpp)

library_srcs := $(sort $(filter-out $(main_srcs),$(vmm_srcs) $(cli_srcs) $(shoald_srcs) \
	$(supervisor_srcs) $(join_srcs) $(exec_agent_srcs))) $(GUEST_HOST_SRCS)
host_srcs := $(sort $(vmm_srcs) $(cli_srcs) $(shoald_srcs) $(supervisor_srcs) $(join_srcs) \
	$(exec_agent_srcs) $(store_srcs) $(GUEST_HOST_SRCS) $(unit_srcs))

objects = $(patsubst %,$(BUILD)/obj/%.o,$(1))

# ---- flags --------------------------------------------------------------------------------------

CXX := g++
CLANGXX := clang++-14
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor \
	-Wold-style-cast -Woverloaded-virtual -Werror
CXXFLAGS := -std=c++23 -O2 -g1 $(WARNINGS) -I. -ffunction-sections -fdata-sections
LDFLAGS := -Wl,--gc-sections
# Static, without position independence, whose relocations cost at every start. Not by -static: with it
# the compiler's start files register all unwind tables to be sorted at the first exception (15 million
# instructions); these let the unwinder search the sorted ones that the linker makes.
PROGRAM_LDFLAGS := -no-pie -static-libgcc -Wl,-static
CLANG_CXXFLAGS := -std=c++2b -Wno-builtin-macro-redefined -I.
CLANG_PRELUDE := -include scripts/clang_prelude.h
ifneq ($(SANITIZE),)
# By clang, which can have the heaviest headers precompiled: that takes a third of the time. Warnings are g++'s.
CXX := $(CLANGXX)
CXXFLAGS := $(CLANG_CXXFLAGS) -g1 -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS
LDFLAGS := -fsanitize=$(SANITIZE)
ifeq ($(SANITIZE),thread)
# Fences are not understood by TSan. Asio's are not needed (one thread runs the loop), and those of
# the virtqueues order accesses that the guest makes, not another thread of ours.
CXXFLAGS += -DBOOST_ASIO_DISABLE_FENCED_BLOCK
endif
PROGRAM_LDFLAGS :=
endif

programs := $(BUILD)/shoal-vmm $(BUILD)/shoal $(BUILD)/shoald $(BUILD)/shoal-supervisor \
	$(BUILD)/shoal-join $(BUILD)/shoal-exec-agent
unit := $(BUILD)/tests/unit

# ---- what people type ---------------------------------------------------------------------------

.PHONY: all help setup
all: $(programs)

help:
	@echo "make            build everything into build/"
	@echo "make run        run a real Linux program in a microVM"
	@echo "make demo       three hosts: 30 microVMs answer while one host is drained and one is killed"
	@echo "make test       all tests: unit (plain, ASan+UBSan, TSan), sim, system (real microVMs), nested"
	@echo "make test-unit  the unit tests only; make test-system the system tests only"
	@echo "make test-nested  the system tests and Linux guests on hardware KVM, emulated by QEMU"
	@echo "make sim        the control plane under a simulated cluster; SEED=N plays one world again"
	@echo "make fuzz       run the fuzz targets, each for FUZZ_SECONDS ($(FUZZ_SECONDS)) or a third of it"
	@echo "make fuzz-keep  keep what the fuzz targets found in tests/fuzz/corpus, few and small"
	@echo "make check      formatting, include directions, clang-tidy"
	@echo "make bench      measure: a table on the screen and JSON in build/bench/"
	@echo "make install    install into DESTDIR and PREFIX ($(PREFIX))"
	@echo "make clean      delete build/"
	@echo "SANITIZE=address,undefined | thread   build the host's code with a sanitizer"
	@echo "SETUP=no                              never install packages"

setup:
ifeq ($(SETUP),yes)
	@scripts/setup --check || scripts/setup
endif

# ---- host programs ------------------------------------------------------------------------------

# Rewritten only when the flags change: everything compiled depends on it.
flags_file := $(BUILD)/obj/flags
.PHONY: force
$(flags_file): force
	@mkdir -p $(@D)
	@echo '$(CXX) $(CXXFLAGS)' | cmp -s - $@ || echo '$(CXX) $(CXXFLAGS)' > $@

# Tests are compiled more often than they run.
ifeq ($(SANITIZE),)
$(BUILD)/obj/tests/unit/%: private CXXFLAGS := $(CXXFLAGS) -O0
else
library_objects := $(call objects,$(filter-out tests/%,$(host_srcs)))
$(library_objects) $(BUILD)/obj/library.pch: private CXXFLAGS += -O1
ifeq ($(SANITIZE),address,undefined)
# The fuzz targets are linked with it, too.
$(library_objects) $(BUILD)/obj/library.pch: private CXXFLAGS += -fsanitize=fuzzer-no-link
include tests/fuzz/fuzz.mk
endif
# One defines what the headers declare, the others have the kernel's in place of the C library's.
without_pch := $(call objects,$(boost_json) $(GUEST_HOST_SRCS))
$(without_pch): private CXXFLAGS += $(CLANG_PRELUDE)
define with_pch
$(filter-out $(without_pch),$(1)): $(BUILD)/obj/$(2).pch
$(filter-out $(without_pch),$(1)): private CXXFLAGS += -include-pch $(BUILD)/obj/$(2).pch
endef
$(eval $(call with_pch,$(library_objects),library))
$(eval $(call with_pch,$(call objects,$(unit_srcs) $(fuzz_srcs)),tests))

$(BUILD)/obj/%.pch: scripts/sanitizer_pch.h $(flags_file) | setup
	@echo "  PCH   [$(SANITIZE)] $<"
	@$(CXX) $(CXXFLAGS) -fpch-instantiate-templates -MMD -MP -x c++-header -o $@ $<
-include $(wildcard $(BUILD)/obj/*.d)
endif

$(BUILD)/obj/%.cpp.o: %.cpp $(flags_file) | setup
	@mkdir -p $(@D)
	@echo "  CXX   $(if $(SANITIZE),[$(SANITIZE)] )$<"
	@$(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

define link
@mkdir -p $(@D)
@echo "  LINK  $@"
@$(CXX) $(CXXFLAGS) $(LDFLAGS) $(1) -o $@ $(filter %.o,$^) $(2)
endef

$(BUILD)/shoal-vmm: $(call objects,$(vmm_srcs))
	$(call link,$(PROGRAM_LDFLAGS),-lfdt -luring -lssl -lcrypto -lzstd -pthread)

$(BUILD)/shoal: $(call objects,$(cli_srcs) $(boost_json))
	$(call link,$(PROGRAM_LDFLAGS),-lyaml-cpp)

$(BUILD)/shoal-join: $(call objects,$(join_srcs) $(filter-out $(main_srcs),$(cli_srcs)) $(boost_json))
	$(call link,,-lyaml-cpp -lssl -lcrypto)

shoald_objects := $(call objects,$(shoald_srcs) $(boost_json) devices/host/log.cpp \
	devices/host/nonblocking_file.cpp devices/host/deadline_file.cpp devices/host/crc32c.cpp)
$(BUILD)/shoald: $(shoald_objects) $(BUILD)/libstore.a
	$(call link,,$(BUILD)/libstore.a $(STORE_LIBS) -pthread)

$(BUILD)/shoal-supervisor: $(call objects,$(supervisor_srcs))
	$(call link,$(PROGRAM_LDFLAGS))

# Without symbols: it lies in the memory of every microVM that offers exec.
$(BUILD)/shoal-exec-agent: $(call objects,$(exec_agent_srcs))
	$(call link,$(PROGRAM_LDFLAGS) -s)

$(BUILD)/libstore.a: $(call objects,$(store_srcs))
	@echo "  AR    $@"
	@rm -f $@
	@ar rcs $@ $^

$(unit): $(call objects,$(library_srcs) $(unit_srcs)) $(BUILD)/libstore.a
	$(call link,,$(BUILD)/libstore.a -lfdt -luring -lz -lzstd -lyaml-cpp $(STORE_LIBS) -pthread)

-include $(wildcard $(patsubst %,$(BUILD)/obj/%.d,$(host_srcs)))

# ---- the rest of the house ----------------------------------------------------------------------

ifeq ($(SANITIZE),)
include guest/guest.mk
include tests/tests.mk
include scripts/check.mk
endif

.PHONY: run demo install clean
run: all
	@scripts/demo

demo: all build/cluster/answer
	@scripts/cluster/demo

build/cluster/answer: scripts/cluster/answer.c | setup
	@mkdir -p $(@D)
	@echo "  MUSL  $@"
	@musl-gcc -static -O2 -Wall -Wextra -Werror -o $@ $<

install: all
	install -D -m 755 build/shoal $(DESTDIR)$(PREFIX)/bin/shoal
	install -D -m 755 build/shoal-vmm $(DESTDIR)$(PREFIX)/bin/shoal-vmm
	install -D -m 755 build/shoald $(DESTDIR)$(PREFIX)/bin/shoald
	install -D -m 755 build/shoal-supervisor $(DESTDIR)$(PREFIX)/lib/shoal/shoal-supervisor
	install -D -m 755 build/shoal-exec-agent $(DESTDIR)$(PREFIX)/lib/shoal/shoal-exec-agent
	install -D -m 755 build/shoal-join $(DESTDIR)$(PREFIX)/lib/shoal/shoal-join
	install -D -m 644 build/guest/shoal.elf $(DESTDIR)$(PREFIX)/lib/shoal/shoal.elf

clean:
	rm -rf build
