// SPDX-License-Identifier: Apache-2.0
#include "fs/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a nonce is to stand; as long as one. */
static const char mark[PAGE_NONCE + 1] = "NONCE___________________________";

__asm__(".section .rodata\n"
        "page_html:\n"
        ".incbin \"fs/page.html\"\n"
        ".byte 0\n"
        ".previous\n");
extern const char page_html[] __asm__("page_html");

char *page_text(const char *nonce) {
    char *text = strdup(page_html);
    for (char *at = text; at && (at = strstr(at, mark)); at += PAGE_NONCE)
        memcpy(at, nonce, PAGE_NONCE);
    return text;
}

void page_policy(const char *nonce, char ret_policy[PAGE_POLICY_MOST]) {
    snprintf(ret_policy, PAGE_POLICY_MOST,
             "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
             "trusted-types 'none'",
             nonce, nonce);
}
