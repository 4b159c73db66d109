#include "form.h"

#include "buf.h"

void
kith_form_encode(struct kith_buf *out, const char *text)
{
	for (; *text; text++)
		if (strchr("-._~", *text) || (*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') ||
		    (*text >= 'a' && *text <= 'z'))
			kith_buf_putc(out, *text);
		else
			kith_buf_printf(out, "%%%02X", (unsigned char)*text);
}

void
kith_form_field(struct kith_buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	if (out->len)
		kith_buf_putc(out, '&');
	kith_form_encode(out, name);
	kith_buf_putc(out, '=');
	kith_form_encode(out, value);
}
