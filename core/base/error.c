/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Error values with a text of fixed size: nothing here allocates, so reporting ENOMEM works. */
#include "core/base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list ap;

	assert(code < 0);
	if (!err)
		return code;
	/* The arguments may point into err->text, so the text is made aside. */
	char text[ERROR_TEXT_MAX];

	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		text[0] = '\0';
	memcpy(err->text, text, sizeof(text));
	err->code = code;
	return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	if (!err || !err->code)
		return 0;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		return err->code;
	size_t at = strlen(text);

	snprintf(text + at, sizeof(text) - at, ": %s", error_text(err, err->code));
	memcpy(err->text, text, sizeof(text));
	return err->code;
}

static const char *generic_text(int code)
{
	switch (-code) {
	case ENOENT:
		return "no such object";
	case EEXIST:
		return "something else is there already";
	case EAGAIN:
		return "changed by somebody else meanwhile";
	case ESTALE:
		return "replaced by a newer writer";
	case EBADMSG:
		return "stored data is damaged";
	case EPROTONOSUPPORT:
		return "format or feature is newer than this program";
	case EKEYREJECTED:
		return "wrong key or password";
	case EACCES:
		return "access refused";
	case EIO:
		return "input/output error";
	case ETIMEDOUT:
		return "no reply in time";
	case ENOSPC:
		return "no space left";
	case EDQUOT:
		return "quota exceeded";
	case ECANCELED:
		return "shutting down";
	case ENOMEM:
		return "out of memory";
	case EINVAL:
		return "invalid argument";
	}
	const char *text = strerrordesc_np(-code);

	return text ? text : "unknown error";
}

const char *error_text(const struct error *err, int code)
{
	if (err && err->code && err->text[0])
		return err->text;
	if (err && err->code)
		code = err->code;
	return code ? generic_text(code) : "no error";
}
