/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S: every way into the library kernel, and back out of it.
 *
 *   fast entry   a rewritten system-call site jumps here: rcx is where to return
 *   LSTAR        SYSCALL lands here: CPL 0 on hardware, CPL 3 on PVM
 *   vectors      an exception, delivered at ring 0 on its own stack (IST)
 *   preempt      the monitor set RIP here; see uk_preempt
 *
 * The only code that runs at ring 0 are the few instructions of a vector that read CR2
 * (ring 3 cannot) and drop to ring 3, the page-table gate, and SYSCALL's landing. Under
 * PVM each of them is emulated, at about half a microsecond: keep them few.
 */
#define SEL_UDATA 0x23
#define SEL_UCODE 0x2b
#define KSTACK_END 0x7ffffc1000
#define UFLAGS 0x202

/* Offsets in struct uk_frame (arch.h pins them). */
#define F_HOW   0x78
#define F_RIP   0x88
#define F_FLAGS 0x98
#define F_RSP   0xa0
#define F_SIZE  0xb0

	/* The upper part of struct uk_frame is on the stack: the rest of it. */
	.macro PUSH_REGISTERS
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.section .head, "ax"
	.globl uk_head
uk_head: /* struct noxs_kernel */
	.long 0x73786f6e
	.long 2
	.long uk_off_rodata
	.long uk_off_data
	.long uk_off_bss
	.long uk_off_end
	.quad uk_start
	.quad uk_lstar
	.quad uk_preempt
	.quad uk_vector_6
	.quad uk_vdso
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	.quad uk_vector_\n
	.endr
	.org 0x180, 0xcc

/*
 * Fast entry. In: as for SYSCALL, but rcx holds the return address and r11 nothing.
 * The program's stack below rsp is its red zone: not one push there.
 */
	.globl uk_fast_entry
uk_fast_entry:
	cld			/* SYSCALL's mask would have done that */
	mov	%rsp, uk_user_rsp(%rip)
	mov	uk_kstack_end(%rip), %rsp
	push	$SEL_UDATA
	push	uk_user_rsp(%rip)
	push	$UFLAGS
	push	$SEL_UCODE
	push	%rcx
	push	%rax		/* orig_rax, for restarts */
	push	$0		/* how: flags need not come back */
uk_entry_common:
	PUSH_REGISTERS
	mov	%rsp, %rdi
	call	uk_syscall
	test	%eax, %eax
	jnz	uk_return_full
	mov	0x50(%rsp), %rax
	mov	0x40(%rsp), %r9	 /* argument registers come back as they were */
	mov	0x38(%rsp), %r10
	mov	0x48(%rsp), %r8
	mov	0x60(%rsp), %rdx
	mov	0x68(%rsp), %rsi
	mov	0x70(%rsp), %rdi
	mov	F_RIP(%rsp), %rcx
	testb	$1, F_HOW(%rsp)
	jnz	1f
	mov	F_RSP(%rsp), %rsp
	jmp	*%rcx
1:	mov	F_FLAGS(%rsp), %r11
	push	%r11
	popfq
	mov	(F_RSP)(%rsp), %rsp
	jmp	*%rcx

/* All registers from the frame at rsp: after a signal's delivery or return, a fault. */
	.globl uk_return_full
uk_return_full:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	add	$16, %rsp
	iretq

/*
 * LSTAR. rcx and r11 are SYSCALL's; nothing else may change. At CPL 0 (VT-x, AMD-V) the
 * first thing is to leave it: SYSRETQ to the next line.
 */
	.globl uk_lstar
uk_lstar:
	mov	%rcx, uk_lstar_rip(%rip)
	mov	%r11, uk_lstar_flags(%rip)
	mov	%cs, %ecx
	test	$3, %ecx
	jnz	1f
	lea	1f(%rip), %rcx
	mov	$UFLAGS, %r11d
	sysretq
1:	cld
	mov	%rsp, uk_user_rsp(%rip)
	mov	uk_kstack_end(%rip), %rsp
	push	$SEL_UDATA
	push	uk_user_rsp(%rip)
	push	uk_lstar_flags(%rip)
	push	$SEL_UCODE
	mov	uk_lstar_rip(%rip), %rcx
	mov	uk_lstar_flags(%rip), %r11
	push	%rcx
	push	%rax
	push	$1		/* how: SYSCALL, so the flags come back */
	jmp	uk_entry_common

/*
 * Preempt: the program was computing, and the monitor wants the kernel to look at its
 * power device and timers. It stopped the vCPU, wrote its rip to power.resume_rip and set
 * rip to here. All other registers are the program's, which may have been anywhere:
 * everything is saved and nothing is pushed on its stack.
 */
	.globl uk_preempt
uk_preempt:
	mov	%rsp, uk_user_rsp(%rip)
	mov	uk_kstack_end(%rip), %rsp
	push	$SEL_UDATA
	push	uk_user_rsp(%rip)
	pushfq
	cld
	push	$SEL_UCODE
	push	uk_resume_rip(%rip)
	push	$0
	push	$2
	PUSH_REGISTERS
	mov	%rsp, %rdi
	call	uk_preempted
	jmp	uk_return_full

/*
 * Vectors, at ring 0 on an exception stack. The stack then holds, from rsp upward:
 * [error] rip cs rflags rsp ss. Adds a 0 where the CPU pushed no error code, saves rax,
 * pushes vector and CR2, and IRETQs to ring 3 on the same stack.
 */
	.macro VECTOR n, has_error
	.globl uk_vector_\n
uk_vector_\n:
	.if \n == 6
	/* The page-table gate: UD2 at uk_gate_ud2 (both halves of its address). */
	cmpl	$(uk_gate_ud2_low), (%rsp)
	jne	1f
	cmpl	$(uk_gate_ud2_high), 4(%rsp)
	jne	1f
	rep movsq
	mov	%cr3, %rax
	mov	%rax, %cr3
	addq	$2, (%rsp)
	iretq
1:
	.endif
	.if \has_error == 0
	push	$0
	.endif
	push	%rax
	push	$\n
	jmp	uk_vector_common
	.endm

	VECTOR 0, 0
	VECTOR 1, 0
	VECTOR 2, 0
	VECTOR 3, 0
	VECTOR 4, 0
	VECTOR 5, 0
	VECTOR 6, 0
	VECTOR 7, 0
	VECTOR 8, 1
	VECTOR 9, 0
	VECTOR 10, 1
	VECTOR 11, 1
	VECTOR 12, 1
	VECTOR 13, 1
	VECTOR 14, 1
	VECTOR 15, 0
	VECTOR 16, 0
	VECTOR 17, 1
	VECTOR 18, 0
	VECTOR 19, 0
	VECTOR 20, 0
	VECTOR 21, 1
	VECTOR 22, 0
	VECTOR 23, 0
	VECTOR 24, 0
	VECTOR 25, 0
	VECTOR 26, 0
	VECTOR 27, 0
	VECTOR 28, 0
	VECTOR 29, 1
	VECTOR 30, 1
	VECTOR 31, 0

uk_vector_common:
	mov	%cr2, %rax
	push	%rax
	mov	%rsp, %rax
	push	$SEL_UDATA
	push	%rax
	push	$UFLAGS & ~0x200
	push	$SEL_UCODE
	push	uk_vector_ring3_ptr(%rip)
	iretq

/*
 * Ring 3, still on the exception stack: cr2 vector rax error rip cs rflags rsp ss.
 * Makes a struct uk_frame of it (how = vector). uk_exception returns 0 if the fault is
 * dealt with and the program or kernel may go on.
 */
uk_vector_ring3:
	cld
	pop	uk_fault_cr2(%rip)
	pop	uk_fault_vector(%rip)
	pop	%rax
	push	uk_fault_vector(%rip)
	PUSH_REGISTERS
	mov	%rsp, %rdi
	mov	uk_fault_cr2(%rip), %rsi
	call	uk_exception
	test	%eax, %eax
	jz	uk_return_full
	/*
	 * A signal for the program: leave the exception stack for the kernel's (it is free,
	 * for the fault came from the program), since writing the signal frame may fault.
	 */
	mov	%rsp, %rsi
	mov	uk_kstack_end(%rip), %rdi
	sub	$F_SIZE, %rdi
	mov	%rdi, %rsp
	mov	$(F_SIZE / 8), %ecx
	rep movsq
	mov	%rsp, %rdi
	call	uk_fault_signal
	jmp	uk_return_full

/* First instructions of the VM, on the kernel stack. */
	.globl uk_start
uk_start:
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, %rdi
	call	uk_boot		/* does not return */
	ud2

/* void uk_run_program(uint64_t rip, uint64_t rsp): all else is zero, as the ABI says. */
	.globl uk_run_program
uk_run_program:
	mov	%rsi, %rsp
	mov	%rdi, %rcx
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%edx, %edx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	jmp	*%rcx

/*
 * void uk_gate(uint64_t *dst, const uint64_t *src, size_t n): copy n page-table entries at
 * ring 0 and drop every cached translation. dst is a table's page in the linear map,
 * which is read-only there: ring 0 may write it since CR0.WP is 0.
 */
	.globl uk_gate
uk_gate:
	mov	%rdx, %rcx
	.globl uk_gate_ud2
uk_gate_ud2:
	ud2
	ret

/*
 * The program's memory. A fault between uk_user_begin and uk_user_end lands on
 * uk_user_fault (fault.c), which makes the function return -EFAULT.
 */
	.globl uk_user_begin, uk_user_end, uk_user_fault
	.globl uk_user_copy, uk_user_zero, uk_user_xsave, uk_user_xrstor
uk_user_begin:
uk_user_copy: /* long (dst, src, n) */
	mov	%rdx, %rcx
	rep movsb
	xor	%eax, %eax
	ret
uk_user_zero: /* long (dst, n) */
	mov	%rsi, %rcx
	xor	%eax, %eax
	rep stosb
	ret
uk_user_xsave: /* long (area, mask) */
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	xsave64	(%rdi)
	xor	%eax, %eax
	ret
uk_user_xrstor: /* long (area, mask) */
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	xrstor64 (%rdi)
	xor	%eax, %eax
	ret
uk_user_end:
uk_user_fault:
	mov	$-14, %rax
	ret

	.section .rodata.entry, "a"
	.align 8
uk_kstack_end:
	.quad	KSTACK_END
uk_vector_ring3_ptr:
	.quad	uk_vector_ring3

	.data
	.align 64
uk_user_rsp:
	.quad	0
uk_lstar_rip:
	.quad	0
uk_lstar_flags:
	.quad	0
	.globl uk_fault_cr2
uk_fault_cr2:
	.quad	0
uk_fault_vector:
	.quad	0

	.section .vdso, "a"
	.balign 4096
	.globl uk_vdso
uk_vdso:
	.incbin VDSO_FILE
	.balign 4096

	.section .note.GNU-stack, "", @progbits
