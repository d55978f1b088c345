#include "runtime/app/help.h"

#include <stdio.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/shelf.h"

typedef struct help_args {
    bool man;
    int completion;
    int names;
} help_args;

static const char *const shells[] = {"bash", "zsh", NULL};
static const char *const kinds[] = {"models", "plans", "experiments", NULL};

static const opt_row rows[] = {
    OPT_FLAG(help_args, man, "man", .help = "the manual, as roff for man"),
    OPT_CHOICE(help_args, completion, "completion", shells, .value = "SHELL",
               .help = "a completion script"),
    OPT_CHOICE(help_args, names, "names", kinds, .value = "KIND",
               .help = "what has a name, one a line"),
};

const opt_command help_command = {
    .name = "help",
    .usage = "[COMMAND|TOPIC]",
    .about = "Explains a command or a topic; without a word it lists them.",
    .example = "weft help train\n"
               "weft help exit-codes\n"
               "weft help --man | man -l -\n"
               "weft help --completion bash >~/.weft-completion.bash",
    .see = "plans, experiments, models",
    .min_args = 0,
    .max_args = 1,
    OPT_ROWS(rows),
};

/* --- lists ---------------------------------------------------------------- */

static bool in_earlier_group(const command *c)
{
    for (const command *e = commands; e < c; e++) {
        if (strcmp(e->group, c->group) == 0) {
            return true;
        }
    }
    return false;
}

static void list_groups(strbuf *b)
{
    for (const command *c = commands; c->name != NULL; c++) {
        if (in_earlier_group(c)) {
            continue;
        }
        strbuf_printf(b, "\n%s:\n", c->group);
        for (const command *m = c; m->name != NULL; m++) {
            if (strcmp(m->group, c->group) == 0) {
                strbuf_printf(b, "  %-12s %s\n", m->name, m->about);
            }
        }
    }
}

void help_print_overview(void)
{
    strbuf b = {0};
    strbuf_add(&b, "weft trains the same GPT streamed and partitioned, with "
                   "the same bits, and\nmeasures both.\n\n"
                   "Usage: weft COMMAND [options]\n");
    list_groups(&b);
    strbuf_add(&b, "\nTopics:\n");
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        strbuf_printf(&b, "  %-12s %s\n", t->name, t->about);
    }
    strbuf_add(&b, "\nweft COMMAND --help shows its options and examples, "
                   "weft help TOPIC a topic,\nweft --version the libraries.\n"
                   "\nExample:\n"
                   "  weft compare demo --data book.txt --out demo.h5\n");
    printf("%s", strbuf_view(&b));
    strbuf_fini(&b);
}

enum { WORDS_MAX = 64 };

status help_fail_unknown(const char *kind, const char *word)
{
    const char *words[WORDS_MAX + 1] = {NULL};
    int n = 0;
    for (const command *c = commands; c->name != NULL; c++) {
        ASSERT(n < WORDS_MAX);
        words[n++] = c->name;
    }
    bool topics = strcmp(kind, "command") != 0;
    for (const help_topic *t = help_topics; topics && t->name != NULL; t++) {
        ASSERT(n < WORDS_MAX);
        words[n++] = t->name;
    }
    const char *near = text_nearest(word, words);
    return FAIL(ST_USAGE, "there is no %s '%s'%s%s; see weft --help", kind,
                word, near != NULL ? ", did you mean " : "",
                near != NULL ? near : "");
}

/* --- the command ---------------------------------------------------------- */

bool command_helped(const opt_command *cmd, const opt_parsed *parsed)
{
    strbuf help = {0};
    if (!opt_wants_help(parsed)) {
        return false;
    }
    opt_help(cmd, &help);
    if (launch_rank() == 0) {
        printf("%s", strbuf_view(&help));
    }
    strbuf_fini(&help);
    return true;
}

static status write_word(const char *word, strbuf *b)
{
    const command *c = command_find(word);
    if (c != NULL) {
        opt_help(c->options, b);
        return ST_OK;
    }
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        if (strcmp(t->name, word) == 0) {
            t->write(b);
            return ST_OK;
        }
    }
    return help_fail_unknown("command or topic", word);
}

static status write_names(const char *kind, strbuf *b)
{
    char **list = NULL;
    TRY(shelf_list(kind, &list));
    for (int i = 0; list[i] != NULL; i++) {
        strbuf_printf(b, "%s\n", list[i]);
    }
    shelf_list_free(list);
    return ST_OK;
}

static status help(const opt_parsed *parsed, const help_args *a)
{
    strbuf b = {0};
    status st = ST_OK;
    bool completion = opt_given(parsed, "completion");
    REQUIRE(opt_given_count(parsed) + opt_args_count(parsed) <= 1, ST_USAGE,
            "help: give one of a word, --man, --completion and --names");
    if (a->man) {
        help_write_man(&b);
    } else if (completion) {
        (a->completion == 0 ? help_write_bash : help_write_zsh)(&b);
    } else if (opt_given(parsed, "names")) {
        st = write_names(kinds[a->names], &b);
    } else if (opt_args_count(parsed) > 0) {
        st = write_word(opt_arg(parsed, 0), &b);
    } else {
        help_print_overview();
    }
    if (st == ST_OK) {
        st = strbuf_check(&b);
    }
    if (st == ST_OK) {
        printf("%s", strbuf_view(&b));
    }
    strbuf_fini(&b);
    return st;
}

status command_help(int argc, const char *const *argv)
{
    help_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&help_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&help_command, parsed)) {
        st = help(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
