/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: the classes of findings. Keywords are part of the interface: zerofs(1) lists them. */
#include "core/vfs/check_internal.h"

static const struct {
	const char *name;
	bool leftover;
	const char *meaning;
} classes[CHECK_CLASSES] = {
	[CHECK_ROOT] = {"root-missing", false, "nothing can be reached by a path"},
	[CHECK_INODE_DAMAGED] = {"inode-damaged", false,
		"whatever it was cannot be opened; using it fails with an I/O error"},
	[CHECK_ENTRY_DAMAGED] = {"entry-damaged", false,
		"what the name stood for cannot be opened by it"},
	[CHECK_ENTRY_PLACE] = {"entry-in-file", false, "these names cannot be reached"},
	[CHECK_ENTRY_NO_INODE] = {"entry-no-inode", false, "the name is shown, opening it fails"},
	[CHECK_ENTRY_TYPE] = {"entry-type", false, "listings of the directory show a wrong type"},
	[CHECK_NAME_TWICE] = {"name-twice", false, "only one of the two can be opened or removed"},
	[CHECK_COOKIE] = {"cookie-wrong", false,
		"the name is listed, but cannot be opened or removed"},
	[CHECK_COOKIE_TWICE] = {"cookie-twice", false,
		"a listing that is read in parts may leave one of them out"},
	[CHECK_DIRECTORY_TWICE] = {"directory-twice", false,
		"the same directory is reached by two paths, which no filesystem allows"},
	[CHECK_PARENT] = {"parent-wrong", false, "\"..\" in it leads to another place"},
	[CHECK_UNREACHABLE] = {"unreachable", false,
		"it and all below it cannot be reached from the root"},
	[CHECK_NO_ENTRY] = {"inode-no-entry", false,
		"its contents are there, but no path leads to them"},
	[CHECK_LINKS] = {"link-count", false,
		"a wrong count of links is shown; a count that is too low loses the contents with the last but one name"},
	[CHECK_RECORDS_NO_INODE] = {"records-no-inode", false,
		"bytes or names of something lost take space, and nothing leads to them"},
	[CHECK_XATTR_NO_INODE] = {"xattr-no-inode", false,
		"attributes of something lost take space, and nothing leads to them"},
	[CHECK_XATTR_SUMMARY] = {"xattr-summary", false,
		"attributes may not be shown, or stay behind when the file is removed"},
	[CHECK_ACL] = {"acl-damaged", false, "whether access is granted cannot be decided"},
	[CHECK_RECORD_UNKNOWN] = {"record-unknown", false,
		"a program that is newer or wrong has written here"},
	[CHECK_ORPHAN_NO_INODE] = {"orphan-no-inode", false,
		"a note about a deleted file was left behind; nothing is lost"},
	[CHECK_ORPHAN_MISSING] = {"orphan-missing", false,
		"a deleted file keeps its space for ever"},
	[CHECK_ORPHAN_WRONG] = {"orphan-wrong", false,
		"the next mount would delete something that still has a name"},
	[CHECK_ORPHAN_LEFT] = {"orphan-left", true,
		"it was open when its writer died; the next mount for writing removes it"},
	[CHECK_EXTENTS_PLACE] = {"extents-in-other", false,
		"bytes take space that nobody can read"},
	[CHECK_EXTENTS_DAMAGED] = {"extents-damaged", false,
		"reading this part of the file fails with an I/O error"},
	[CHECK_EXTENT_END] = {"extent-beyond-end", false,
		"old bytes would show up if the file grows"},
	[CHECK_EXTENT_SEGMENT] = {"extent-no-segment", false, "these bytes of the file are lost"},
	[CHECK_EXTENT_OUTSIDE] = {"extent-outside", false, "these bytes of the file are lost"},
	[CHECK_EXTENT_DIRECTORY] = {"extent-directory", false,
		"one of the two is wrong; what is read may fail, never differ"},
	[CHECK_FRAME] = {"frame-damaged", false, "these bytes of the file are lost"},
	[CHECK_ALLOCATED] = {"allocated-wrong", false, "du shows a wrong size"},
	[CHECK_LIVE_BYTES] = {"live-bytes", false,
		"dead space is given back too late or never; no data are at risk, since nothing is deleted on a counter alone"},
	[CHECK_USAGE_BYTES] = {"usage-bytes", false, "df and the quota count wrongly"},
	[CHECK_USAGE_INODES] = {"usage-inodes", false, "df -i counts wrongly"},
	[CHECK_NEXT_INODE] = {"next-inode", false,
		"a new file could get the number of an existing one and damage it: do not mount for writing"},
	[CHECK_COUNTER] = {"counter-damaged", false, "mounting for writing may fail"},
	[CHECK_JOB] = {"job-of-nobody", false, "what that job left behind is never deleted"},
	[CHECK_PIN] = {"pin-of-nobody", false, "old versions are kept that nobody asked for"},
	[CHECK_SEGMENT_RECORD] = {"segment-record", false,
		"the frames of this segment cannot be opened"},
	[CHECK_OBJECT_MISSING] = {"object-missing", false,
		"what was stored in it is lost, unless the store still has a copy"},
	[CHECK_OBJECT_DAMAGED] = {"object-damaged", false,
		"what is stored in it is lost, unless the store has an intact copy"},
	[CHECK_OBJECT_UNKNOWN] = {"object-unknown", true,
		"nothing of the volume refers to it and nothing deletes it"},
	[CHECK_TABLE_UNUSED] = {"table-unused", true, "the next writer's sweep deletes it"},
	[CHECK_SEGMENT_UNUSED] = {"segment-unused", true, "the next writer's sweep deletes it"},
	[CHECK_KEY_FILE_OLD] = {"key-file-old", true,
		"a password was changed and the process died; the next mount for writing deletes it"},
	[CHECK_CLAIM_UNUSED] = {"claim-unused", true, "nothing reads it"},
};

void check_describe(struct check_finding *f)
{
	f->name = classes[f->class].name;
	f->meaning = classes[f->class].meaning;
	f->damage = !classes[f->class].leftover;
}

void check_print(const struct check_finding *f, FILE *out)
{
	(void)fprintf(out, "%s:", f->name);
	if (f->path)
		(void)fprintf(out, " %s", f->path);
	if (f->inode)
		(void)fprintf(out, " (inode %llu)", (unsigned long long)f->inode);
	if (f->object)
		(void)fprintf(out, " %s", f->object);
	(void)fprintf(
		out, "%s %s; %s", f->path || f->inode || f->object ? ":" : "", f->text, f->meaning);
}
