#include "svg.h"

#include "html.h"

void svg_line(FILE *svg, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(svg, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2);
}

void svg_label(FILE *svg, const char *anchor, double x, double y, const char *text)
{
    fprintf(svg, "<text text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", anchor, x, y);
    html_text(svg, text);
    fputs("</text>\n", svg);
}
