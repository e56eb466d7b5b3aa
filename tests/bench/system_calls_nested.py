"""Cycles of system calls in the unikernel on hardware KVM, beside the Linux of that machine."""
import system_calls
from system_calls import measure, targets  # noqa: F401

TITLE = "System calls in the unikernel on hardware KVM, and on its host"
CONDITIONS = f"nested hardware KVM, whose CPU is emulated: ratios only; {system_calls.CONDITIONS}"
