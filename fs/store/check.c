// SPDX-License-Identifier: Apache-2.0
#include "fs/store/check.h"

const struct check_class_row check_classes[CHECK_CLASSES] = {
#define CHECK_CLASS(name, word, kind, about) [CHECK_##name] = {word, CHECK_##kind, about},
#include "fs/store/check.def"
#undef CHECK_CLASS
};
