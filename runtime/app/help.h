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
/* Completion functions: commands, options, choices, model names, files. That
 * of zsh shows what each is for. */
void help_write_bash(strbuf *b);
void help_write_zsh(strbuf *b);

/* What may stand for a value of this name ("FILE", "[MODEL] [options]"). */
typedef enum help_offer {
    OFFER_NOTHING,
    OFFER_FILES,
    OFFER_MODELS /* names of models, and files */
} help_offer;
help_offer help_offer_of(const char *value);

#endif
