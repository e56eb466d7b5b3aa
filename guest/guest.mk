# The unikernel: build/guest/shoal.elf, freestanding C++ and assembly.

guest_srcs := $(call files,guest/nub guest/kernel guest/drivers guest/net,*.cpp) \
	$(call files,guest/nub guest/kernel guest/drivers,*.S)
# lwIP, as Debian's source package has it (scripts/fetch-lwip).
lwip := build/lwip
lwip_srcs := $(addprefix $(lwip)/src/core/,def.c inet_chksum.c init.c ip.c mem.c memp.c netif.c \
	pbuf.c raw.c tcp.c tcp_in.c tcp_out.c timeouts.c udp.c ipv4/dhcp.c ipv4/etharp.c ipv4/icmp.c \
	ipv4/ip4.c ipv4/ip4_addr.c ipv4/ip4_frag.c ipv6/ethip6.c ipv6/icmp6.c ipv6/inet6.c \
	ipv6/ip6.c ipv6/ip6_addr.c ipv6/ip6_frag.c ipv6/mld6.c ipv6/nd6.c) \
	$(lwip)/src/netif/ethernet.c
guest_objects := $(patsubst %,build/guest/obj/%.o,$(guest_srcs)) \
	$(patsubst $(lwip)/%,build/guest/obj/lwip/%.o,$(lwip_srcs))

# No vector registers: they belong to the program. No red zone: traps land on the same stack.
GUEST_CXXFLAGS := -std=c++23 -O2 -g1 $(WARNINGS) -I. -DSHOAL_GUEST=1 \
	-ffreestanding -fno-exceptions -fno-rtti -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -fpie -mcmodel=small \
	-fvisibility=hidden -fno-threadsafe-statics -fno-use-cxa-atexit -mgeneral-regs-only \
	-ffunction-sections -fdata-sections -D_GLIBCXX_EXTERN_TEMPLATE=0
lwip_includes := -Iguest/net -isystem $(lwip)/src/include
# Its warnings are its authors'.
LWIP_CFLAGS := -std=gnu11 -w -Iguest/net -I$(lwip)/src/include \
	$(filter-out -std=% $(WARNINGS) -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit \
		-fno-exceptions,$(GUEST_CXXFLAGS))
GUEST_LDFLAGS := -nostdlib -static -no-pie \
	-Wl,--gc-sections,--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-relax

# What runs once, or once a second, is made small: page tables lie between the image and 2 MiB.
cold_srcs := guest/kernel/boot/% guest/kernel/main.cpp guest/kernel/script.cpp \
	guest/kernel/elf_image.cpp guest/kernel/program.cpp guest/kernel/initial_stack.cpp \
	guest/kernel/vdso.cpp guest/kernel/name_servers.cpp guest/kernel/boot_info.cpp guest/kernel/proc_source.cpp \
	guest/kernel/syscalls/exec.cpp guest/kernel/fs/proc% \
	guest/kernel/fs/device_files.cpp guest/kernel/fs/initramfs.cpp $(addprefix $(lwip)/src/core/, \
	netif.c dns.c init.c timeouts.c ipv4/dhcp.c ipv4/etharp.c ipv4/igmp.c ipv4/ip4_frag.c \
	ipv6/ip6_frag.c ipv6/mld6.c ipv6/nd6.c)
optimisation = $(if $(filter $(cold_srcs),$<),-Os)

lwip_tarballs := $(wildcard /var/cache/shoal/lwip_*.orig.tar.xz)
$(lwip)/unpacked: $(lwip_tarballs) | setup
	@mkdir -p $(lwip)
	@tarball=$$(ls /var/cache/shoal/lwip_*.orig.tar.xz) || \
		{ echo "there is no lwIP in /var/cache/shoal: scripts/fetch-lwip fetches it" >&2; false; }; \
	tar -xf $$tarball -C $(lwip) --strip-components=1
	@touch $@
$(lwip_srcs): $(lwip)/unpacked

build/guest/obj/lwip/%.c.o: $(lwip)/%.c guest/net/lwipopts.h guest/net/arch/cc.h
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CC) $(LWIP_CFLAGS) $(optimisation) -MMD -MP -c -o $@ $<

guest_flags_file := build/guest/flags
$(guest_flags_file): force
	@mkdir -p $(@D)
	@echo '$(GUEST_CXXFLAGS)' | cmp -s - $@ || echo '$(GUEST_CXXFLAGS)' > $@

build/guest/obj/%.cpp.o: %.cpp $(guest_flags_file) | setup $(lwip)/unpacked
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) $(GUEST_CXXFLAGS) $(if $(filter guest/net/%,$<),$(lwip_includes)) \
		$(optimisation) -MMD -MP -c -o $@ $<

build/guest/obj/%.S.o: %.S $(guest_flags_file) | setup
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) -g1 -I. -DSHOAL_GUEST=1 -MMD -MP -c -o $@ $<

# What the kernel maps into programs: a shared object, position-independent.
VDSO_CXXFLAGS := $(filter-out -fpie -mcmodel=small,$(GUEST_CXXFLAGS)) -fPIC
vdso_srcs := guest/vdso/vdso.cpp
build/guest/obj/guest/vdso/vdso.cpp.o: guest/vdso/vdso.cpp $(guest_flags_file) | setup
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) $(VDSO_CXXFLAGS) -MMD -MP -c -o $@ $<

build/guest/vdso.so: build/guest/obj/guest/vdso/vdso.cpp.o guest/vdso/vdso.lds
	@echo "  LINK  $@"
	@$(CXX) -nostdlib -shared -s -Wl,-soname=linux-vdso.so.1,--hash-style=both,--build-id=none \
		-Wl,-z,noexecstack,-z,norelro,-Bsymbolic,--no-undefined -Wl,-T,guest/vdso/vdso.lds -o $@ $<

build/guest/obj/guest/kernel/vdso_image.S.o: build/guest/vdso.so

build/guest/shoal.lds: guest/shoal.lds $(guest_flags_file) | setup
	@mkdir -p $(@D)
	@$(CXX) -E -P -x assembler-with-cpp -I. -MMD -MP -MT $@ -MF $@.d -o $@ $<

build/guest/shoal.elf: $(guest_objects) build/guest/shoal.lds
	@echo "  LINK  $@"
	@$(CXX) $(GUEST_LDFLAGS) -T build/guest/shoal.lds -o $@ $(guest_objects) -lz -lgcc

all: build/guest/shoal.elf

-include $(wildcard build/guest/shoal.lds.d $(patsubst %,build/guest/obj/%.d,$(guest_srcs) $(vdso_srcs)))
