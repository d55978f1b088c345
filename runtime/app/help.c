#include <stdio.h>

#include "runtime/app/commands.h"

bool command_helped(const opt_command *cmd, const opt_parsed *parsed)
{
    strbuf help = {0};
    if (!opt_wants_help(parsed)) {
        return false;
    }
    opt_help(cmd, &help);
    printf("%s", strbuf_view(&help));
    strbuf_fini(&help);
    return true;
}
