/* Any bytes as a line of rows. What is accepted keeps its promises.
 *   fuzz_row CORPUS FOLDER_WITH_ROWS, one a file */
#include "diff/row.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

static void check_row(const struct row *row)
{
    const struct row_facts *facts = &row->facts;
    check(*row->id && strlen(row->model) == 32 && strlen(row->group) <= ROW_GROUP_BYTES_MAX);
    check(facts->code <= 0 && -facts->code < ROW_CODES && facts->score <= ROW_MILLION && facts->verdict < BGD_VERDICTS);
    check(facts->code == 0 || facts->score == 0);
    for (int i = 0; i < BGD_REASONS; i++)
        check(!(facts->reasons[i] < 0 || facts->reasons[i] > 1)); /* or NAN */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct row row;
    struct bgd_err err = {0};
    char *line = malloc(size + 1);
    check(line);
    memcpy(line, data, size);
    line[size] = 0;
    if (row_parse(line, size, "group", &row, &err) == 0)
        check_row(&row);
    else
        check(err.text[0]);
    row_free(&row);
    free(line);
    return 0;
}
