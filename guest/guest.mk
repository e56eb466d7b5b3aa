# The unikernel: build/guest/shoal.elf, freestanding C++ and assembly.

guest_srcs := $(call files,guest/nub guest/kernel guest/drivers guest/net,*.cpp) \
	$(call files,guest/nub guest/kernel guest/drivers,*.S)
guest_objects := $(patsubst %,build/guest/obj/%.o,$(guest_srcs))

# No vector registers: they belong to the program. No red zone: traps land on the same stack.
GUEST_CXXFLAGS := -std=c++23 -O2 -g1 $(WARNINGS) -I. -DSHOAL_GUEST=1 \
	-ffreestanding -fno-exceptions -fno-rtti -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -fpie -mcmodel=small \
	-fvisibility=hidden -fno-threadsafe-statics -fno-use-cxa-atexit -mgeneral-regs-only \
	-ffunction-sections -fdata-sections -D_GLIBCXX_EXTERN_TEMPLATE=0
GUEST_LDFLAGS := -nostdlib -static -no-pie \
	-Wl,--gc-sections,--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-relax

guest_flags_file := build/guest/flags
$(guest_flags_file): force
	@mkdir -p $(@D)
	@echo '$(GUEST_CXXFLAGS)' | cmp -s - $@ || echo '$(GUEST_CXXFLAGS)' > $@

build/guest/obj/%.cpp.o: %.cpp $(guest_flags_file) | setup
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) $(GUEST_CXXFLAGS) -MMD -MP -c -o $@ $<

build/guest/obj/%.S.o: %.S $(guest_flags_file) | setup
	@mkdir -p $(@D)
	@echo "  GUEST $<"
	@$(CXX) -g1 -I. -DSHOAL_GUEST=1 -MMD -MP -c -o $@ $<

build/guest/shoal.lds: guest/shoal.lds $(guest_flags_file) | setup
	@mkdir -p $(@D)
	@$(CXX) -E -P -x assembler-with-cpp -I. -MMD -MP -MT $@ -MF $@.d -o $@ $<

build/guest/shoal.elf: $(guest_objects) build/guest/shoal.lds
	@echo "  LINK  $@"
	@$(CXX) $(GUEST_LDFLAGS) -T build/guest/shoal.lds -o $@ $(guest_objects) -lz -lgcc

all: build/guest/shoal.elf

-include $(wildcard build/guest/shoal.lds.d $(patsubst %,build/guest/obj/%.d,$(guest_srcs)))
