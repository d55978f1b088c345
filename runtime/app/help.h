/*
 * Help in all its forms, made of the tables of commands and options and of
 * the topics, so that each thing is written once: the list of commands, the
 * topics, the man page, the completion of the shell. Local.
 */
#ifndef WEFT_APP_HELP_H
#define WEFT_APP_HELP_H

#include "runtime/base/status.h"
#include "runtime/base/text.h"

/* What is explained beside the commands. */
typedef struct help_topic {
    const char *name;
    const char *about;
    void (*write)(strbuf *b);
    bool in_manual; /* else it depends on what is installed               */
} help_topic;

/* Ends with a row without a name. */
extern const help_topic help_topics[];

/* The list of commands and topics, on stdout. */
void help_print_overview(void);
/* "there is no KIND 'WORD', did you mean ...". Commands, and for the kind
 * "command or topic" topics too. Returns ST_USAGE. */
status help_fail_unknown(const char *kind, const char *word);

/* The whole manual in the man macros of roff. */
void help_write_man(strbuf *b);
/* Completion functions: commands, options, choices, names on the shelf, files.
 * That of zsh shows what each is for. */
void help_write_bash(strbuf *b);
void help_write_zsh(strbuf *b);

/* What may stand for a value of this name ("FILE", "[MODEL] [options]"): any
 * of these together. What has a name on the shelf may be a file, too. */
enum {
    OFFER_NOTHING = 0,
    OFFER_FILES = 1,
    OFFER_MODELS = 2,
    OFFER_PLANS = 4,
    OFFER_EXPERIMENTS = 8
};
int help_offer_of(const char *value);

#endif
