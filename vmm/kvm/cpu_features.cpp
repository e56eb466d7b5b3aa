// Feature bits of CPUID (Intel SDM 2A, CPUID; AMD APM 3, appendix E) and Linux's names for them.
#include "vmm/kvm/cpu_features.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace shoal::kvm {
namespace {

struct FeatureWord {
    std::uint32_t function;
    std::uint32_t index;
    std::uint32_t kvm_cpuid_entry2::*word;
    std::uint32_t ours;  // bits that KVM or this VMM set, whatever the host has
    // From bit 0; what has no name here is told by its place.
    std::string_view names;
};

using Entry = kvm_cpuid_entry2;
// OSXSAVE and OSPKE mirror CR4; x2APIC, the deadline timer and the topology are KVM's and ours. VMX
// and SVM are in saved states from before they were taken from all guests.
constexpr std::uint32_t ours_1_ecx = 1U << 3 | 1U << 5 | 1U << 21 | 1U << 24 | 1U << 27 | 1U << 31;
constexpr std::uint32_t ours_1_edx = 1U << 9 | 1U << 28;
constexpr std::uint32_t ours_7_ecx = 1U << 4;

constexpr std::uint32_t state_leaf = 0xD;
// Of XCR0 and IA32_XSS.
constexpr std::string_view states =
    "x87_state sse_state avx_state bndregs bndcsr avx512_opmask avx512_zmm_hi256 avx512_hi16_zmm "
    "pt_state pkru_state pasid_state cet_user cet_supervisor hdc_state uintr_state lbr_state "
    "hwp_state amx_tilecfg amx_tiledata apx_state";

constexpr std::array words{
    FeatureWord{0x1, 0, &Entry::ecx, ours_1_ecx,
                "sse3 pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr "
                "pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave "
                "osxsave avx f16c rdrand hypervisor"},
    FeatureWord{0x1, 0, &Entry::edx, ours_1_edx,
                "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn "
                "clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    FeatureWord{
        0x7, 0, &Entry::ebx, 0,
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a "
        "avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf "
        "avx512er avx512cd sha_ni avx512bw avx512vl"},
    FeatureWord{0x7, 0, &Entry::ecx, ours_7_ecx,
                "prefetchwt1 avx512vbmi umip pku ospke waitpkg avx512_vbmi2 shstk gfni vaes "
                "vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid "
                "- bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc pks"},
    FeatureWord{0x7, 0, &Entry::edx, 0,
                "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - "
                "serialize - tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile "
                "amx_int8 ibrs stibp flush_l1d arch_capabilities core_capabilities ssbd"},
    FeatureWord{0x7, 1, &Entry::eax, 0,
                "sha512 sm3 sm4 rao_int avx_vnni avx512_bf16 lass cmpccxadd arch_perfmon_ext - "
                "fzrm fsrs fsrc - - - - fred lkgs wrmsrns nmi_src amx_fp16 hreset avx_ifma - - "
                "lam msrlist"},
    FeatureWord{0x7, 1, &Entry::ecx, 0, "- - - - - msr_imm"},
    FeatureWord{0x7, 1, &Entry::edx, 0,
                "- - - - avx_vnni_int8 avx_ne_convert - - amx_complex - avx_vnni_int16 - - - "
                "prefetchiti - - - - avx10"},
    FeatureWord{0x7, 2, &Entry::edx, 0, "intel_psfd ipred_ctrl rrsba_ctrl ddpd_u bhi_ctrl mcdt_no"},
    FeatureWord{state_leaf, 0, &Entry::eax, 0, states},
    FeatureWord{state_leaf, 0, &Entry::edx, 0, ""},
    FeatureWord{state_leaf, 1, &Entry::eax, 0, "xsaveopt xsavec xgetbv1 xsaves xfd"},
    FeatureWord{state_leaf, 1, &Entry::ecx, 0, states},
    FeatureWord{state_leaf, 1, &Entry::edx, 0, ""},
    FeatureWord{0x4000'0001, 0, &Entry::eax, 0,
                "kvmclock kvm_nopiodelay kvm_mmu kvmclock2 kvm_asyncpf kvm_steal_time kvm_pv_eoi "
                "kvm_pv_unhalt - kvm_pv_tlb_flush kvm_asyncpf_vmexit kvm_pv_ipi kvm_poll_control "
                "kvm_pv_sched_yield kvm_asyncpf_int kvm_msi_ext_dest_id kvm_hc_map_gpa_range "
                "kvm_migration_control - - - - - - kvmclock_stable"},
    FeatureWord{
        0x8000'0001, 0, &Entry::ecx, 1U << 2,
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw "
        "ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core"},
    FeatureWord{
        0x8000'0001, 0, &Entry::edx, 1U << 9,
        "fpu vme de pse tsc msr pae mce cx8 apic - syscall mtrr pge mca cmov pat pse36 - mp "
        "nx - mmxext mmx fxsr fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
    FeatureWord{0x8000'0007, 0, &Entry::edx, 0,
                "ts fid vid ttp tm_control stc 100mhzsteps hwpstate constant_tsc cpb "
                "eff_freq_ro proc_feedback acc_power"},
    FeatureWord{0x8000'0008, 0, &Entry::ebx, 0,
                "clzero irperf xsaveerptr invlpgb rdpru - mba - mcommit wbnoinvd - - amd_ibpb "
                "wbinvd_int amd_ibrs amd_stibp ibrs_always_on stibp_always_on ibrs_preferred "
                "ibrs_same_mode - - - amd_ppin amd_ssbd virt_ssbd amd_ssb_no cppc amd_psfd btc_no "
                "ibpb_ret"},
    FeatureWord{0x8000'0021, 0, &Entry::eax, 0,
                "no_nested_data_bp wrmsr_xx_base_ns lfence_rdtsc - - verw_clear null_sel_clr_base "
                "- autoibrs no_smm_ctl_msr - - - - - - - - - - prefetchi - - - - - - sbpb "
                "ibpb_brtype srso_no srso_user_kernel_no"},
    FeatureWord{0x8000'0021, 0, &Entry::ecx, 0, "- tsa_sq_no tsa_l1_no"},
};

const Entry* find(std::span<const Entry> entries, std::uint32_t function, std::uint32_t index) {
    const auto found = std::ranges::find_if(entries, [&](const Entry& entry) {
        return entry.function == function &&
               (entry.index == index || (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0);
    });
    return found == entries.end() ? nullptr : &*found;
}

// Empty: it has none.
std::string_view nth(std::string_view names, unsigned bit) {
    std::string_view rest = names;
    for (unsigned idx = 0; idx < bit; ++idx) {
        const std::size_t space = rest.find(' ');
        rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    }
    const std::string_view name = rest.substr(0, rest.find(' '));
    return name == "-" ? std::string_view{} : name;
}

std::string name_of(const FeatureWord& word, unsigned bit) {
    if (const std::string_view name = nth(word.names, bit); !name.empty()) {
        return std::string{name};
    }
    std::array<char, 48> text;
    std::snprintf(text.data(), text.size(), "CPUID 0x%x.%u bit %u", word.function, word.index, bit);
    return text.data();
}

std::string vendor_of(std::span<const Entry> entries) {
    std::string vendor(12, ' ');
    if (const Entry* entry = find(entries, 0, 0)) {
        std::memcpy(vendor.data(), &entry->ebx, 4);
        std::memcpy(vendor.data() + 4, &entry->edx, 4);
        std::memcpy(vendor.data() + 8, &entry->ecx, 4);
    }
    return vendor;
}

std::string missing_of(const FeatureWord& word, std::span<const Entry> wanted,
                       std::span<const Entry> offered) {
    const Entry* const want = find(wanted, word.function, word.index);
    const Entry* const offer = find(offered, word.function, word.index);
    std::uint32_t missing = want != nullptr ? want->*word.word & ~word.ours : 0;
    missing &= offer != nullptr ? ~(offer->*word.word) : ~0U;
    std::string names;
    for (unsigned bit = 0; bit < 32; ++bit) {
        if ((missing >> bit & 1) != 0) {
            names += " " + name_of(word, bit);
        }
    }
    return names;
}

// XSAVE puts a component where its CPU has it: the saved bytes mean the same only where both have
// it at the same place.
std::string moved_states(std::span<const Entry> wanted, std::span<const Entry> offered) {
    const Entry* const all = find(wanted, state_leaf, 0);
    std::string names;
    for (unsigned component = 2; all != nullptr && component < 32; ++component) {
        const Entry* const want = find(wanted, state_leaf, component);
        const Entry* const offer = find(offered, state_leaf, component);
        const bool is_there = (all->eax >> component & 1) != 0 && want != nullptr;
        if (is_there && (offer == nullptr || want->eax != offer->eax || want->ebx != offer->ebx)) {
            names += " " + name_of({state_leaf, 0, &Entry::eax, 0, states}, component);
        }
    }
    return names;
}

}  // namespace

std::string cpu_refusal(std::span<const kvm_cpuid_entry2> wanted,
                        std::span<const kvm_cpuid_entry2> offered) {
    const std::string there = vendor_of(wanted);
    const std::string here = vendor_of(offered);
    if (std::ranges::any_of(there, [](char byte) { return byte < ' ' || byte > '~'; })) {
        return "the saved CPU has no vendor";
    }
    if (there != here) {
        return "the guest's CPU is of " + there + ", the host's of " + here;
    }
    std::string names;
    for (const FeatureWord& word : words) {
        names += missing_of(word, wanted, offered);
    }
    if (!names.empty()) {
        return "this host's CPU lacks what the guest may use:" + names;
    }
    names = moved_states(wanted, offered);
    return names.empty() ? "" : "this host's CPU keeps registers at another place:" + names;
}

}  // namespace shoal::kvm
