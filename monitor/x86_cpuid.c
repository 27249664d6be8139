/* SPDX-License-Identifier: Apache-2.0 */
/* x86_cpuid.c: see x86_cpuid.h. Leaves: AMD64 APM vol. 3, app. E; Intel SDM vol. 2A, CPUID. */
#include <cpuid.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include <linux/kvm.h>

#include "x86_cpuid.h"

#define BIT(n) (1u << (n))

/* x87, SSE, AVX and the three AVX-512 states. AMX is left out: it needs a permission each. */
#define XCR0_WANTED 0xe7ull

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *c, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

/*
 * Instructions of ring 3 that need nothing of KVM but XCR0. Where KVM does without VT-x or
 * AMD-V (KVM-PVM), the guest's ring 3 is the CPU's own, so all that the CPU has works there,
 * but KVM_GET_SUPPORTED_CPUID leaves most of it out. libc and programs choose their fast
 * paths (AVX2, SHA) by these bits.
 */
static const struct {
	uint32_t function, index;
	uint32_t eax, ebx, ecx, edx;
} ring3_features[] = {
	/* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
	{1, 0, 0, 0, 0x76d83203, 0},
	/* FSGSBASE BMI1 AVX2 BMI2 ERMS AVX512F,DQ RDSEED ADX IFMA CLFLUSHOPT CLWB CD SHA BW VL;
	 * VBMI VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ; FSRM */
	{7, 0, 0, 0xf1af0329, 0x00005f42, 0x10},
	{7, 1, 0x30, 0, 0, 0},           /* AVX-VNNI, AVX512-BF16 */
	{0xd, 1, 0x7, 0, 0, 0},          /* XSAVEOPT XSAVEC XGETBV(1) */
	{0x80000001, 0, 0, 0, 0x1e1, 0}, /* LAHF ABM SSE4A MISALIGN PREFETCH */
};

static void add_ring3_features(struct kvm_cpuid2 *c)
{
	uint32_t a, b, cx, d;

	__cpuid_count(1, 0, a, b, cx, d);
	if (cx & BIT(5)) /* VMX: KVM's list is complete */
		return;
	__cpuid_count(0x80000001, 0, a, b, cx, d);
	if (cx & BIT(2)) /* SVM */
		return;
	for (size_t i = 0; i < sizeof(ring3_features) / sizeof(ring3_features[0]); i++) {
		struct kvm_cpuid_entry2 *e =
			leaf(c, ring3_features[i].function, ring3_features[i].index);

		if (!e || e->index != ring3_features[i].index)
			continue;
		__cpuid_count(e->function, e->index, a, b, cx, d);
		e->eax |= a & ring3_features[i].eax;
		e->ebx |= b & ring3_features[i].ebx;
		e->ecx |= cx & ring3_features[i].ecx;
		e->edx |= d & ring3_features[i].edx;
	}
}

static int need(bool have, const char *what, struct err *err)
{
	return have ? 0
		    : err_set(err, ENOTSUP, "this CPU, or KVM here, lacks %s, which guests need",
			      what);
}

int cpuid_filter(struct kvm_cpuid2 *c, uint64_t *xcr0, uint32_t *xsave_bytes, struct err *err)
{
	struct kvm_cpuid_entry2 *one = leaf(c, 1, 0), *seven = leaf(c, 7, 0);
	struct kvm_cpuid_entry2 *ext = leaf(c, 0x80000001, 0), *xsave = leaf(c, 0xd, 0);
	int ret;

	add_ring3_features(c);
	if ((ret = need(ext && (ext->edx & BIT(29)), "64-bit mode", err)) ||
	    (ret = need(ext && (ext->edx & BIT(20)), "no-execute pages (NX)", err)) ||
	    (ret = need(seven && (seven->ebx & BIT(0)), "FSGSBASE", err)) ||
	    (ret = need(one && (one->ecx & BIT(26)) && xsave, "XSAVE", err)))
		return ret;

	*xcr0 = ((uint64_t)xsave->edx << 32 | xsave->eax) & XCR0_WANTED;
	if ((*xcr0 & 0xe0) != 0xe0) /* the three AVX-512 states come together */
		*xcr0 &= ~0xe0ull;
	*xsave_bytes = 512 + 64;
	for (uint32_t i = 2; i < 63; i++) {
		struct kvm_cpuid_entry2 *e = *xcr0 >> i & 1 ? leaf(c, 0xd, i) : NULL;

		if (e && e->eax + e->ebx > *xsave_bytes)
			*xsave_bytes = e->eax + e->ebx;
	}

	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		switch (e->function) {
		case 1:
			/* Not for guests: VMX, MONITOR; no second CPU; no core's APIC id. */
			e->ecx &= ~(BIT(5) | BIT(3));
			e->ebx = (e->ebx & 0xffff) | 1u << 16;
			break;
		case 7:
			if (e->index)
				break;
			/* CR4 has them off: PKU, shadow stacks, indirect branch tracking. AMX. */
			e->ecx &= ~(BIT(3) | BIT(4) | BIT(7));
			e->edx &= ~(BIT(20) | BIT(22) | BIT(24) | BIT(25));
			break;
		case 0xb:
		case 0x1f:
			e->edx = 0;
			break;
		case 0xd:
			if (e->index == 0) {
				e->eax = (uint32_t)*xcr0;
				e->edx = (uint32_t)(*xcr0 >> 32);
				e->ebx = e->ecx = *xsave_bytes;
			}
			break;
		case 0x80000001:
			e->ecx &= ~BIT(2); /* SVM */
			break;
		case 0x8000001e:
			e->eax = 0;
			break;
		}
	}
	return 0;
}
