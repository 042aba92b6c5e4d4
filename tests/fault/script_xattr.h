/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_FAULT_SCRIPT_XATTR_H
#define TESTS_FAULT_SCRIPT_XATTR_H
/* Steps of the script about extended attributes and ACLs; they want the directories "a" and "c" and
 * the file "a/small". */
#include "tests/fault/script.h"

int script_xattr_file(struct script *s);
int script_xattr_set(struct script *s);
int script_xattr_set_again(struct script *s);
int script_xattr_set_big(struct script *s);
int script_xattr_set_capability(struct script *s);
int script_xattr_set_capability_again(struct script *s);
int script_xattr_drop_capability(struct script *s);
int script_xattr_get(struct script *s);
int script_xattr_list(struct script *s);
int script_xattr_remove(struct script *s);
int script_xattr_unlink(struct script *s);
int script_acl_access(struct script *s);
int script_acl_default(struct script *s);
int script_acl_inherit_file(struct script *s);
int script_acl_inherit_directory(struct script *s);
int script_acl_chmod(struct script *s);
int script_acl_remove(struct script *s);

#endif
