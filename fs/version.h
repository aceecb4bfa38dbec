// SPDX-License-Identifier: Apache-2.0
/* The version, in one place. */
#ifndef FS_VERSION_H
#define FS_VERSION_H

#define GRIDMOUNT_VERSION "0.1.0"

#endif
