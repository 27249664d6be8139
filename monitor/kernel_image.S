/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_image.S: the library kernel, page-aligned, so that VMs can map it from our file. */
	.section .rodata.kernel, "a", @progbits
	.balign 4096
	.globl kernel_image, kernel_image_end
kernel_image:
	.incbin KERNEL_FILE
	.balign 4096
kernel_image_end:
	.section .note.GNU-stack, "", @progbits
