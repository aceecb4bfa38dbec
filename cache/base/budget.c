// SPDX-License-Identifier: Apache-2.0
#include "cache/base/budget.h"

#include "cache/base/check.h"

void budget_init(struct budget *budget, size_t limit) {
    budget->limit = limit;
    atomic_init(&budget->used, 0);
    budget_ask_for_room(budget, NULL, NULL);
}

void budget_ask_for_room(struct budget *budget, void (*make_room)(void *context), void *context) {
    budget->make_room = make_room;
    budget->context = context;
}

bool budget_take(struct budget *budget, size_t bytes) {
    size_t used = atomic_load(&budget->used);
    do {
        if (used > budget->limit || bytes > budget->limit - used)
            return false;
    } while (!atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
    return true;
}

void budget_force(struct budget *budget, size_t bytes) {
    atomic_fetch_add(&budget->used, bytes);
    if (budget->make_room && budget_exceeded(budget))
        budget->make_room(budget->context);
}

void budget_give(struct budget *budget, size_t bytes) {
    size_t before = atomic_fetch_sub(&budget->used, bytes);
    CHECK(before >= bytes);
}

size_t budget_used(const struct budget *budget) {
    return atomic_load(&budget->used);
}

bool budget_exceeded(const struct budget *budget) {
    return budget_used(budget) > budget->limit;
}
