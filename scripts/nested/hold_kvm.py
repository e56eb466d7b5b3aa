"""Keeps virtual machines of every kind that flips one of the kernel's static keys open until killed.

Linux patches its own scheduler when the first virtual machine is made and when the last is gone
(preempt_notifier_key), and KVM itself for the first vCPU without a local APIC and the first whose
APIC is off. QEMU's emulator with a thread for each CPU now and then keeps the patched-over
breakpoint, and the CPU then takes it for ever. With a machine of each kind open, nothing is patched.
"""
import fcntl
import os
import signal
import struct

KVM_CREATE_VM = 0xAE01
KVM_CREATE_VCPU = 0xAE41
KVM_ENABLE_CAP = 0x4068AEA3
KVM_CAP_SPLIT_IRQCHIP = 121

kvm = os.open("/dev/kvm", os.O_RDWR)
for has_apics in (False, True):
    vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    if has_apics:
        fcntl.ioctl(vm, KVM_ENABLE_CAP, struct.pack("<IIQ88x", KVM_CAP_SPLIT_IRQCHIP, 0, 24))
    fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
if os.fork() == 0:
    signal.pause()
