// /proc/cpuinfo: the CPU as CPUID describes it (AMD APM 3, appendix E; Intel SDM 2A, CPUID).
#include <cpuid.h>

#include <array>
#include <cstring>

#include "guest/kernel/fs/proc_text.h"

namespace shoal::guest {
namespace {

// Results of the leaves that are looked at, in the order of Flag::word.
struct CpuId {
    std::array<std::uint32_t, 8> words{};
    std::array<char, 12> vendor{};
    std::array<char, 48> name{};
    std::uint32_t signature = 0;
    std::uint32_t address_sizes = 0;
};

enum Word : std::uint8_t { leaf1_d, leaf1_c, leaf7_b, leaf7_c, leaf7_d, extended_d, extended_c };

struct Flag {
    std::uint8_t word;
    std::uint8_t bit;
    std::string_view name;
};

// Those that programs look for, by Linux's names.
constexpr Flag flags[] = {
    {leaf1_d, 0, "fpu"},         {leaf1_d, 4, "tsc"},          {leaf1_d, 5, "msr"},
    {leaf1_d, 6, "pae"},         {leaf1_d, 8, "cx8"},          {leaf1_d, 9, "apic"},
    {leaf1_d, 13, "pge"},        {leaf1_d, 15, "cmov"},        {leaf1_d, 16, "pat"},
    {leaf1_d, 19, "clflush"},    {leaf1_d, 23, "mmx"},         {leaf1_d, 24, "fxsr"},
    {leaf1_d, 25, "sse"},        {leaf1_d, 26, "sse2"},        {leaf1_d, 28, "ht"},
    {extended_d, 11, "syscall"}, {extended_d, 20, "nx"},       {extended_d, 26, "pdpe1gb"},
    {extended_d, 27, "rdtscp"},  {extended_d, 29, "lm"},       {leaf1_c, 0, "pni"},
    {leaf1_c, 1, "pclmulqdq"},   {leaf1_c, 9, "ssse3"},        {leaf1_c, 12, "fma"},
    {leaf1_c, 13, "cx16"},       {leaf1_c, 19, "sse4_1"},      {leaf1_c, 20, "sse4_2"},
    {leaf1_c, 21, "x2apic"},     {leaf1_c, 22, "movbe"},       {leaf1_c, 23, "popcnt"},
    {leaf1_c, 25, "aes"},        {leaf1_c, 26, "xsave"},       {leaf1_c, 28, "avx"},
    {leaf1_c, 29, "f16c"},       {leaf1_c, 30, "rdrand"},      {leaf1_c, 31, "hypervisor"},
    {extended_c, 0, "lahf_lm"},  {extended_c, 5, "abm"},       {extended_c, 6, "sse4a"},
    {leaf7_b, 0, "fsgsbase"},    {leaf7_b, 3, "bmi1"},         {leaf7_b, 5, "avx2"},
    {leaf7_b, 8, "bmi2"},        {leaf7_b, 9, "erms"},         {leaf7_b, 16, "avx512f"},
    {leaf7_b, 17, "avx512dq"},   {leaf7_b, 18, "rdseed"},      {leaf7_b, 19, "adx"},
    {leaf7_b, 23, "clflushopt"}, {leaf7_b, 24, "clwb"},        {leaf7_b, 28, "avx512cd"},
    {leaf7_b, 29, "sha_ni"},     {leaf7_b, 30, "avx512bw"},    {leaf7_b, 31, "avx512vl"},
    {leaf7_c, 1, "avx512vbmi"},  {leaf7_c, 8, "gfni"},         {leaf7_c, 9, "vaes"},
    {leaf7_c, 10, "vpclmulqdq"}, {leaf7_c, 11, "avx512_vnni"}, {leaf7_c, 22, "rdpid"},
    {leaf7_d, 4, "fsrm"},
};

CpuId read_cpuid() {
    CpuId cpu;
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
    std::uint32_t d = 0;
    __cpuid(0, a, b, c, d);
    std::memcpy(cpu.vendor.data(), &b, 4);
    std::memcpy(cpu.vendor.data() + 4, &d, 4);
    std::memcpy(cpu.vendor.data() + 8, &c, 4);
    const std::uint32_t highest = a;
    __cpuid(1, cpu.signature, b, cpu.words[leaf1_c], cpu.words[leaf1_d]);
    if (highest >= 7) {
        __cpuid_count(7, 0, a, cpu.words[leaf7_b], cpu.words[leaf7_c], cpu.words[leaf7_d]);
    }
    std::uint32_t highest_extended = 0;
    __cpuid(0x80000000, highest_extended, b, c, d);
    if (highest_extended >= 0x80000001) {
        __cpuid(0x80000001, a, b, cpu.words[extended_c], cpu.words[extended_d]);
    }
    for (std::uint32_t i = 0; i < 3 && highest_extended >= 0x80000004; ++i) {
        std::array<std::uint32_t, 4> part{};
        __cpuid(0x80000002 + i, part[0], part[1], part[2], part[3]);
        std::memcpy(cpu.name.data() + i * sizeof part, part.data(), sizeof part);
    }
    if (highest_extended >= 0x80000008) {
        __cpuid(0x80000008, cpu.address_sizes, b, c, d);
    }
    return cpu;
}

std::uint32_t family_of(std::uint32_t signature) {
    const std::uint32_t family = signature >> 8 & 0xF;
    return family == 0xF ? family + (signature >> 20 & 0xFF) : family;
}

std::uint32_t model_of(std::uint32_t signature) {
    const std::uint32_t model = signature >> 4 & 0xF;
    return family_of(signature) >= 6 ? model | (signature >> 12 & 0xF0) : model;
}

std::string_view trimmed(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

void add_flags(Text& to, const CpuId& cpu) {
    to.add("flags\t\t:");
    for (const Flag& flag : flags) {
        if ((cpu.words[flag.word] >> flag.bit & 1) != 0) {
            to.add(" ").add(flag.name);
        }
    }
    to.add("\n");
}

}  // namespace

void write_cpuinfo(const ProcSource& source, Text& to) {
    const CpuId cpu = read_cpuid();
    for (std::uint32_t index = 0; index < source.cpu_count(); ++index) {
        to.add("processor\t: ").add_number(index);
        to.add("\nvendor_id\t: ").add({cpu.vendor.data(), cpu.vendor.size()});
        to.add("\ncpu family\t: ").add_number(family_of(cpu.signature));
        to.add("\nmodel\t\t: ").add_number(model_of(cpu.signature));
        to.add("\nmodel name\t: ").add(trimmed({cpu.name.data(), cpu.name.size()}));
        to.add("\nstepping\t: ").add_number(cpu.signature & 0xF);
        to.add("\ncpu MHz\t\t: ").add_fixed(source.tsc_khz(), 3);
        to.add("\nphysical id\t: 0\nsiblings\t: ").add_number(source.cpu_count());
        to.add("\ncore id\t\t: ").add_number(index);
        to.add("\ncpu cores\t: ").add_number(source.cpu_count());
        to.add("\nfpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\n");
        add_flags(to, cpu);
        to.add("bogomips\t: ").add_fixed(source.tsc_khz() / 5, 2);
        to.add("\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: ");
        to.add_number(cpu.address_sizes & 0xFF).add(" bits physical, ");
        to.add_number(cpu.address_sizes >> 8 & 0xFF).add(" bits virtual\n\n");
    }
}

}  // namespace shoal::guest
