#ifndef PAGE_STYLE_H
#define PAGE_STYLE_H

/* The content of the style element, and its SHA-256 in base64. */
extern const char	page_style[];
extern const char	page_style_hash[];

#endif
