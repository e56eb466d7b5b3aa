// The vDSO, as guest/vdso is linked.
    .section .rodata.vdso, "a", @progbits
    .balign 16
    .globl shoal_vdso_start, shoal_vdso_end
shoal_vdso_start:
    .incbin "build/guest/vdso.so"
shoal_vdso_end:

    .section .note.GNU-stack, "", @progbits
