/*
 * What the text of an option means, by its row: kind, range, choices. Used
 * for the command line, for defaults and for settings in files alike.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/opt_impl.h"
#include "runtime/base/units.h"

/* Writes a number into the field, whatever its type. */
static void store_number(const opt_row *row, void *fields, int64_t whole,
                         double real)
{
    void *at = (char *)fields + row->offset;
    if (row->kind == OPT_KIND_I64 || row->kind == OPT_KIND_SIZE) {
        memcpy(at, &whole, sizeof(whole));
    } else {
        memcpy(at, &real, sizeof(real));
    }
}

static status parse_f64(const char *text, double *out)
{
    char *end = NULL;
    double value = strtod(text, &end);
    /* A NaN is no setting; an infinity is caught by the range or wanted. */
    REQUIRE(end != text && *end == '\0' && value == value, ST_CONFIG,
            "'%s' is no number", text);
    *out = value;
    return ST_OK;
}

/* The number in `text` by the row's kind; both outputs are set. */
static status parse_number(const opt_row *row, const char *text, int64_t *whole,
                           double *real)
{
    switch (row->kind) {
    case OPT_KIND_I64:
        TRY(units_parse_count(text, whole));
        break;
    case OPT_KIND_SIZE:
        TRY(units_parse_size(text, whole));
        break;
    case OPT_KIND_RATE:
        return units_parse_rate(text, real);
    case OPT_KIND_TIME:
        return units_parse_seconds(text, real);
    default:
        return parse_f64(text, real);
    }
    *real = (double)*whole;
    return ST_OK;
}

void opt_add_range(strbuf *b, const opt_row *row)
{
    if (row->min == 0 && row->max == 0) {
        return;
    }
    if (row->kind == OPT_KIND_SIZE) {
        strbuf_printf(b, "%s", units_bytes_exact((int64_t)row->min).s);
        if (row->max < 0x1p62) {
            strbuf_printf(b, " to %s", units_bytes_exact((int64_t)row->max).s);
        } else {
            strbuf_add(b, " or more");
        }
        return;
    }
    strbuf_printf(b, "%.15g", row->min);
    if (row->max < 1e300) {
        strbuf_printf(b, " to %.15g", row->max);
    } else {
        strbuf_add(b, " or more");
    }
}

static status check_range(const opt_row *row, const char *text, double value)
{
    if ((row->min == 0 && row->max == 0) ||
        (value >= row->min && value <= row->max)) {
        return ST_OK;
    }
    strbuf b = {0};
    opt_add_range(&b, row);
    status st = FAIL(ST_CONFIG, "'%s' is out of range, allowed is %s", text,
                     strbuf_view(&b));
    strbuf_fini(&b);
    return st;
}

static status parse_choice(const opt_row *row, const char *text, int *out)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(text, row->choices[i]) == 0) {
            *out = i;
            return ST_OK;
        }
    }
    strbuf b = {0};
    text_add_list(&b, row->choices);
    const char *near = text_nearest(text, row->choices);
    if (near != NULL) {
        strbuf_printf(&b, "; did you mean '%s'?", near);
    }
    status st = FAIL(ST_CONFIG, "'%s' is not known, allowed is one of %s", text,
                     strbuf_view(&b));
    strbuf_fini(&b);
    return st;
}

status opt_set_field(const opt_row *row, const char *text, bool ranged,
                     void *fields)
{
    void *at = (char *)fields + row->offset;
    if (row->kind == OPT_KIND_FLAG) {
        bool on = strcmp(text, "true") == 0;
        REQUIRE(on || strcmp(text, "false") == 0, ST_CONFIG,
                "'%s' is neither true nor false", text);
        memcpy(at, &on, sizeof(on));
    } else if (row->kind == OPT_KIND_STR) {
        memcpy(at, &text, sizeof(text));
    } else if (row->kind == OPT_KIND_CHOICE) {
        int choice = 0;
        TRY(parse_choice(row, text, &choice));
        memcpy(at, &choice, sizeof(choice));
    } else {
        int64_t whole = 0;
        double real = 0;
        TRY(parse_number(row, text, &whole, &real));
        if (ranged) {
            TRY(check_range(row, text, real));
        }
        store_number(row, fields, whole, real);
    }
    return ST_OK;
}

void opt_add_value(strbuf *b, const opt_row *row, const void *fields)
{
    const void *at = (const char *)fields + row->offset;
    const char *text = NULL;
    switch (row->kind) {
    case OPT_KIND_FLAG:
        strbuf_add(b, *(const bool *)at ? "true" : "false");
        break;
    case OPT_KIND_I64:
    case OPT_KIND_SIZE:
        strbuf_printf(b, "%" PRId64, *(const int64_t *)at);
        break;
    case OPT_KIND_F64:
    case OPT_KIND_RATE:
    case OPT_KIND_TIME:
        strbuf_printf(b, "%.17g", *(const double *)at);
        break;
    case OPT_KIND_CHOICE:
        strbuf_add(b, row->choices[*(const int *)at]);
        break;
    case OPT_KIND_STR:
        text = *(const char *const *)at;
        strbuf_add(b, text != NULL ? text : "");
        break;
    }
}
