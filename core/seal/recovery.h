/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_RECOVERY_H
#define CORE_SEAL_RECOVERY_H
/*
 * Recovery keys: 140 random bits as seven groups of five characters, written on paper and typed
 * back years later (docs/format.md "Key file"). The last character of each group checks the group
 * and its place, so that a wrong character, two exchanged neighbours or exchanged groups are told
 * before anything expensive happens, and where.
 */
#define RECOVERY_GROUPS 7
#define RECOVERY_TEXT_BYTES (RECOVERY_GROUPS * 6) /* with dashes and the terminator */

/* A new one, in canonical form: "ABCDE-FGHJK-...". */
void recovery_new(char out[RECOVERY_TEXT_BYTES]);
/*
 * What somebody typed: letters of any case, O for 0, I and L for 1, blanks and dashes wherever they
 * stand. 0 and the canonical form; the number (from 1) of the first group with a mistake; -EINVAL:
 * it does not look like one at all.
 */
int recovery_parse(const char *text, char out[RECOVERY_TEXT_BYTES]);

#endif
