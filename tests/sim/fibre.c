/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * On x86-64 the switch is a few instructions: swapcontext() makes two system calls each time and
 * ASan's wrapper of it wipes what it knows of the stack. Elsewhere (or with SIM_UCONTEXT) it is
 * swapcontext().
 */
#include "tests/sim/fibre.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#define FIBRE_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define FIBRE_TSAN 1
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define FIBRE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FIBRE_TSAN 1
#endif
#endif

#ifdef FIBRE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (512u << 10) /* instrumented frames are about twice as large */
#else
#define STACK_BYTES (256u << 10)
#endif
#ifdef FIBRE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define GUARD_BYTES 65536u /* a multiple of every page size in use */

/* A free stack holds the link to the next one in its first bytes. */
static void *free_stacks;

static struct fibre_context *left; /* the context that the last switch came from */

static void *stack_get(void)
{
	void *stack = free_stacks;

	if (stack) {
		free_stacks = *(void **)stack;
		return stack;
	}
	char *p = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p, GUARD_BYTES, PROT_NONE) < 0) {
		(void)munmap(p, GUARD_BYTES + STACK_BYTES); /* nothing more to be done */
		return NULL;
	}
	return p + GUARD_BYTES;
}

static void stack_put(void *stack)
{
#ifdef FIBRE_ASAN
	/* Its frames were abandoned, with their red zones. */
	__asan_unpoison_memory_region(stack, STACK_BYTES);
#endif
	*(void **)stack = free_stacks;
	free_stacks = stack;
}

#ifdef FIBRE_UCONTEXT
static int context_prepare(struct fibre_context *ctx, void (*entry)(void))
{
	if (getcontext(&ctx->uc) < 0)
		return -ENOMEM;
	ctx->uc.uc_stack.ss_sp = ctx->stack;
	ctx->uc.uc_stack.ss_size = ctx->stack_bytes;
	ctx->uc.uc_link = NULL;
	makecontext(&ctx->uc, entry, 0);
	return 0;
}

static void context_swap(struct fibre_context *from, struct fibre_context *to)
{
	(void)swapcontext(
		&from->uc, &to->uc); /* fails only for contexts that makecontext refuses */
}
#else
/* Saves the callee-saved registers and the stack pointer in *from_sp, takes those at to_sp. */
void fibre_swap_stacks(void **from_sp, void *to_sp);

__asm__(".text\n"
	"	.p2align 4\n"
	"	.globl fibre_swap_stacks\n"
	"	.hidden fibre_swap_stacks\n"
	"	.type fibre_swap_stacks, @function\n"
	"fibre_swap_stacks:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	"	.size fibre_swap_stacks, .-fibre_swap_stacks\n");

/* What fibre_swap_stacks pops: six registers (rbp = 0 ends backtraces), where to go, and a null
 * return address. */
static int context_prepare(struct fibre_context *ctx, void (*entry)(void))
{
	uintptr_t *top = (uintptr_t *)(void *)((char *)ctx->stack + ctx->stack_bytes);

	*--top = 0;
	*--top = (uintptr_t)entry;
	for (int i = 0; i < 6; i++)
		*--top = 0;
	ctx->sp = top;
	return 0;
}

static void context_swap(struct fibre_context *from, struct fibre_context *to)
{
	fibre_swap_stacks(&from->sp, to->sp);
}
#endif

void fibre_context_host(struct fibre_context *ctx)
{
	*ctx = (struct fibre_context){0};
#ifdef FIBRE_TSAN
	ctx->tsan = __tsan_get_current_fiber();
#endif
}

int fibre_context_make(struct fibre_context *ctx, void (*entry)(void))
{
	*ctx = (struct fibre_context){.stack = stack_get(), .stack_bytes = STACK_BYTES};
	if (!ctx->stack)
		return -ENOMEM;
	int r = context_prepare(ctx, entry);

	if (r < 0) {
		stack_put(ctx->stack);
		ctx->stack = NULL;
		return r;
	}
#ifdef FIBRE_TSAN
	ctx->tsan = __tsan_create_fiber(0);
#endif
	return 0;
}

/* Runs on the new stack, right after the switch. `fake_stack` is what ASan kept of it, NULL on
 * first entry. */
static void arrived(void *fake_stack)
{
#ifdef FIBRE_ASAN
	const void *bottom;
	size_t bytes;

	__sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
	if (!left->stack) {
		left->stack = (void *)(uintptr_t)bottom;
		left->stack_bytes = bytes;
	}
#else
	(void)fake_stack;
#endif
}

void fibre_context_entered(void)
{
	arrived(NULL);
}

void fibre_context_switch(struct fibre_context *from, struct fibre_context *to, bool from_done)
{
	left = from;
#ifdef FIBRE_ASAN
	__sanitizer_start_switch_fiber(
		from_done ? NULL : &from->fake_stack, to->stack, to->stack_bytes);
#else
	(void)from_done;
#endif
#ifdef FIBRE_TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
	context_swap(from, to);
	arrived(from->fake_stack);
}

void fibre_context_release(struct fibre_context *ctx)
{
	if (!ctx->stack)
		return;
#ifdef FIBRE_TSAN
	__tsan_destroy_fiber(ctx->tsan);
#endif
	stack_put(ctx->stack);
	ctx->stack = NULL;
}
