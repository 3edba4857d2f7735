#ifndef PAGE_STYLE_H
#define PAGE_STYLE_H

/* The content of the style element, and its SHA-256 in base64. */
const char	*page_style(void);
const char	*page_style_hash(void);

#endif
