/* Lines and labels of an SVG, whose style sheet says by `class` how they look. In pixels, y downwards. */
#ifndef BGD_SVG_H
#define BGD_SVG_H

#include <stdio.h>

void svg_line(FILE *svg, const char *class, double x1, double y1, double x2, double y2);

/* `anchor`: "start", "middle" or "end". The text is html_text's. */
void svg_label(FILE *svg, const char *anchor, double x, double y, const char *text);

#endif
