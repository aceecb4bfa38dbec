// SPDX-License-Identifier: Apache-2.0
/* The page that shows a mount in a browser: page.html, which is in the binary. It asks for `/status.json` and `/metrics` again
 * and again, and for `/revisions.json` when somebody wants to see those of a file; nothing of the mount is in the page itself.
 * The key for these (monitor.h) is behind the # of its address, which browsers send to nobody.
 *
 * Names of files are written by others. They are text, never HTML: the page makes text nodes only, and the policy that
 * goes with it lets no script run but the page's own, lets nothing be loaded from elsewhere, and has the browser refuse
 * to parse a string as HTML.
 *
 * Pure; any thread. */
#ifndef FS_PAGE_H
#define FS_PAGE_H

enum { PAGE_NONCE = 32, PAGE_POLICY_MOST = 512 };

/* `nonce`: PAGE_NONCE letters that nobody can guess, new for each answer. */
/* To be freed; NULL without memory. */
char *page_text(const char *nonce);
/* The value of Content-Security-Policy. */
void page_policy(const char *nonce, char ret_policy[PAGE_POLICY_MOST]);

#endif
