/* SPDX-License-Identifier: (GPL-2.0-only OR MIT OR Apache-2.0) */
/*
 * The host side of draw_host.rs: reads operations, one a line, calls the functions of lottery_draw.h, and prints a line
 * of results for each that has one. Numbers are decimal.
 *
 * The race of several queues is written here once more, in the plainest way: arrays that are searched.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t __u32;
typedef uint64_t __u64;
typedef int32_t __s32;
typedef int64_t __s64;
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#include "lottery_draw.h"

#define QUEUES 16
#define LEVELS 8
#define WAITERS 4096

struct waiter {
	__u64 key, joined;
	__u32 item;
};

static struct queue {
	struct number exchange[LEVELS]; /* from its group to the root */
	__u32 levels;
	__u64 clock;
	struct waiter waiters[WAITERS];
	__u32 n;
} queues[QUEUES];

static __u64 joins;

static void fail(const char *what)
{
	fprintf(stderr, "draw_host: %s\n", what);
	exit(2);
}

static __u64 word(void)
{
	__u64 v;

	if (scanf("%" SCNu64, &v) != 1)
		fail("a number is missing");
	return v;
}

static __s32 exponent(void)
{
	__s32 v;

	if (scanf("%" SCNd32, &v) != 1)
		fail("an exponent is missing");
	return v;
}

static struct number number(void)
{
	struct number n;

	n.m = (__u32)word();
	n.e = exponent();
	return n;
}

static struct queue *queue(void)
{
	__u64 q = word();

	if (q >= QUEUES)
		fail("no such queue");
	return &queues[q];
}

static void print_word(__u64 v)
{
	printf("%" PRIu64 "\n", v);
}

static void print_number(struct number n)
{
	printf("%" PRIu32 " %" PRId32 "\n", n.m, n.e);
}

static struct number path(const struct number *of, __u32 levels)
{
	struct number product = number_of(1);
	__u32 i;

	for (i = 0; i < levels; i++)
		product = number_product(product, of[i]);
	return product;
}

/* The place of the first: the least key, of equal ones who joined first. */
static __u32 first(const struct queue *q)
{
	__u32 best = 0, i;

	for (i = 1; i < q->n; i++) {
		__s64 ahead = (__s64)(q->waiters[i].key - q->waiters[best].key);

		if (ahead < 0 || (ahead == 0 && q->waiters[i].joined < q->waiters[best].joined))
			best = i;
	}
	return best;
}

static void join(void)
{
	struct queue *q = queue();
	struct waiter *w = &q->waiters[q->n];
	__u64 seed, compensation;
	__u32 tickets;

	if (q->n++ == WAITERS)
		fail("the queue is full");
	w->item = (__u32)word();
	seed = word();
	tickets = (__u32)word();
	compensation = word();
	w->key = q->clock + draw_residual(draw_exponential(seed), tickets, compensation);
	w->joined = joins++;
}

static void leave(void)
{
	struct queue *q = queue();
	__u32 item = (__u32)word(), i;

	for (i = 0; i < q->n && q->waiters[i].item != item; i++)
		;
	if (i == q->n)
		fail("who leaves does not wait");
	q->waiters[i] = q->waiters[--q->n];
}

/* A draw of the queues in a mask; prints the winner, or nobody, and the clock of the winner's queue. */
static void draw(void)
{
	__u64 mask = word();
	struct number least = {}, r;
	struct queue *won = NULL, *q;
	__u32 at = 0, i;

	for (i = 0; i < QUEUES; i++) {
		q = &queues[i];
		if (!(mask >> i & 1) || !q->n)
			continue;
		r = draw_in_root(draw_left(q->waiters[first(q)].key, q->clock), path(q->exchange, q->levels));
		if (!won || number_less(r, least)) {
			won = q;
			least = r;
		}
	}
	if (!won) {
		printf("nobody\n");
		return;
	}
	for (i = 0; i < QUEUES; i++) {
		q = &queues[i];
		if ((mask >> i & 1) && q->n && q != won)
			q->clock += draw_step(least, path(q->exchange, q->levels));
	}
	at = first(won);
	won->clock = won->waiters[at].key;
	printf("%" PRIu32 " %" PRIu64 "\n", won->waiters[at].item, won->clock);
	won->waiters[at] = won->waiters[--won->n];
}

/* What a queue's groups are worth: levels, then active and weight of each from its own to the root. */
static void worth(void)
{
	struct queue *q = queue();
	__u32 i;

	q->levels = (__u32)word();
	if (q->levels > LEVELS)
		fail("too many levels");
	for (i = 0; i < q->levels; i++) {
		struct number active = number_of(word()), weight = number_of(word());

		q->exchange[i] = number_quotient(active, weight);
	}
}

int main(void)
{
	char what[16];

	while (scanf("%15s", what) == 1) {
		__u64 a, b;
		struct number n;

		if (!strcmp(what, "next")) {
			a = word();
			b = draw_next(&a);
			print_word(b);
		} else if (!strcmp(what, "zeros")) {
			print_word(draw_leading_zeros(word()));
		} else if (!strcmp(what, "high")) {
			a = word();
			print_word(draw_high_product(a, word()));
		} else if (!strcmp(what, "exponential")) {
			print_word(draw_exponential(word()));
		} else if (!strcmp(what, "residual")) {
			a = word();
			b = word();
			print_word(draw_residual(a, (__u32)b, word()));
		} else if (!strcmp(what, "compensation")) {
			a = word();
			print_word(draw_compensation(a, word()));
		} else if (!strcmp(what, "of")) {
			print_number(number_of(word()));
		} else if (!strcmp(what, "product")) {
			n = number();
			print_number(number_product(n, number()));
		} else if (!strcmp(what, "quotient")) {
			n = number();
			print_number(number_quotient(n, number()));
		} else if (!strcmp(what, "less")) {
			n = number();
			print_word((__u64)number_less(n, number()));
		} else if (!strcmp(what, "whole")) {
			n = number();
			print_word(number_whole(n, exponent()));
		} else if (!strcmp(what, "constants")) {
			printf("%d %llu %llu %u\n", DRAW_FRACTION, COMPENSATION_ONE, COMPENSATION_MOST, TICKETS_MOST);
		} else if (!strcmp(what, "worth")) {
			worth();
		} else if (!strcmp(what, "clock")) {
			struct queue *q = queue();

			q->clock = word();
		} else if (!strcmp(what, "join")) {
			join();
		} else if (!strcmp(what, "leave")) {
			leave();
		} else if (!strcmp(what, "draw")) {
			draw();
		} else {
			fail(what);
		}
	}
	return 0;
}
