# Fuzz targets: libFuzzer, one file each, with the library as ASan and UBSan have it.

# What the parsers under test need.
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
fuzz_library := $(call objects,$(fuzz_library_srcs))

build/fuzz/library.a: $(fuzz_library)
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

build/fuzz/%: $(BUILD)/obj/tests/fuzz/%_fuzz.cpp.o build/fuzz/library.a
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ -lfdt -luring -lz -lyaml-cpp -lssl -lcrypto -lzstd

-include $(wildcard $(patsubst %,$(BUILD)/obj/%.d,$(fuzz_srcs)))
