#include "runtime/app/same_run.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/format.h"
#include "runtime/train/host.h"

void same_add(same_list *l, const char *name, uint64_t hash, const char *shown)
{
    ASSERT(l->n < SAME_ITEMS_MAX);
    same_item *to = &l->items[l->n++];
    (void)snprintf(to->name, sizeof(to->name), "%s", name);
    text_copy(to->shown, sizeof(to->shown), shown);
    to->hash = hash;
}

void same_add_text(same_list *l, const char *name, const char *text)
{
    same_add(l, name, hash64(text, strlen(text)), text);
}

static bool listed(const char *const *names, const char *name)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static status add_option(same_list *l, const opt_row *row, const void *fields)
{
    strbuf value = {0};
    char name[sizeof(l->items[0].name)];
    opt_add_value(&value, row, fields);
    bool file = row->kind == OPT_KIND_STR;
    (void)snprintf(name, sizeof(name), "--%s", row->name);
    same_add_text(l, name,
                  !file           ? strbuf_view(&value)
                  : value.len > 0 ? "a file"
                                  : "no file");
    status st = strbuf_check(&value);
    strbuf_fini(&value);
    return st;
}

status same_add_options(same_list *l, const opt_command *cmd,
                        const void *fields, const char *const *apart)
{
    for (size_t i = 0; i < cmd->nrows; i++) {
        const opt_row *row = &cmd->rows[i];
        if (!row->hidden && !listed(apart, row->name)) {
            TRY(add_option(l, row, fields));
        }
    }
    return ST_OK;
}

/* Other builds may have lists of another size: this goes first. */
static status check_build(comm *world)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "%s %s %zu", WEFT_VERSION, host_commit(),
                   sizeof(same_list));
    uint64_t mine = hash64(text, strlen(text));
    uint64_t first = mine;
    comm_bcast(world, &first, sizeof(first), 0);
    status st = ST_OK;
    if (first != mine) {
        st = FAIL(ST_CONFIG,
                  "this is weft %s %s, rank 0 is another build; install the "
                  "same on every node",
                  WEFT_VERSION, host_commit());
    }
    return comm_agree(world, st);
}

static status compare_lists(const same_list *mine, const same_list *first)
{
    REQUIRE(mine->n == first->n, ST_INTERNAL,
            "lists of what ranks run differ in length");
    for (int64_t i = 0; i < mine->n; i++) {
        const same_item *a = &mine->items[i];
        const same_item *b = &first->items[i];
        REQUIRE(strcmp(a->name, b->name) == 0, ST_INTERNAL,
                "lists of what ranks run differ: %s, %s", a->name, b->name);
        REQUIRE(a->hash == b->hash, ST_CONFIG,
                "ranks do not run the same: %s is %s here, %s on rank 0; give "
                "every rank the same command and the same files",
                a->name, a->shown, b->shown);
    }
    return ST_OK;
}

status same_check(comm *world, const same_list *mine)
{
    same_list *first = NULL;
    if (comm_size(world) == 1) {
        return ST_OK;
    }
    TRY(check_build(world));
    status st = comm_agree(world, MEM_NEW(&first, 1, "agreement"));
    if (st == ST_OK) {
        *first = *mine;
        comm_bcast(world, first, sizeof(*first), 0);
        st = comm_agree(world, compare_lists(mine, first));
    }
    mem_free(first);
    return st;
}
