// SPDX-License-Identifier: Apache-2.0
/* The order in which servers sort values of any type, and which of them are equal.
 *
 * Who merges two sorted answers by it must do without where it errs: numbers of decimal type are compared as doubles, and
 * servers that only resemble MongoDB may sort rare types otherwise. What it calls equal is equal.
 *
 * Pure, any thread. */
#ifndef FS_STORE_MONGO_VALUE_ORDER_H
#define FS_STORE_MONGO_VALUE_ORDER_H

#include <bson/bson.h>

/* Less than, equal to or greater than 0. */
int value_order(const bson_iter_t *one, const bson_iter_t *other);

#endif
