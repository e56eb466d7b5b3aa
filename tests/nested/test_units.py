"""The unit tests that use KVM, on hardware KVM."""
from harness import ROOT, expect, run, test


@test("the unit tests of vCPUs and their threads pass")
def _():
    # In CI none of them ends without its KVM.
    result = run(["env", "-u", "SHOAL_KVM_TESTS", "CI=true", ROOT / "build/tests/unit",
                  "--source-file=*tests/unit/vmm/kvm/*,*tests/unit/vmm/machine/*"])
    expect(result.code == 0, str(result))
    expect(b"0 failed" in result.out and b" 0 passed" not in result.out, str(result))
