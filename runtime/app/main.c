#include <stdio.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/help.h"
#include "runtime/app/launch.h"
#include "runtime/base/log.h"
#include "runtime/base/stop.h"

static status dispatch(int argc, const char *const *argv)
{
    const command *found = command_find(argv[1]);
    if (launch_rank() > 0 && (found == NULL || !found->on_ranks)) {
        return ST_OK;
    }
    if (found != NULL && !found->only_text) {
        stop_outlast_reader();
    }
    return found != NULL ? found->run(argc - 1, argv + 1)
                         : help_fail_unknown("command", argv[1]);
}

int main(int argc, char **argv)
{
    launch_fix_descriptors();
    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        help_print_overview();
        return argc < 2 ? ST_USAGE : ST_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        launch_print_version();
        return ST_OK;
    }
    launch_fix_environment(argv);
    log_init(launch_rank(), LOG_INFO);
    status st = dispatch(argc, (const char *const *)argv);
    if (st == ST_OK) {
        st = log_finish();
    }
    if (st != ST_OK) {
        log_error_line(st);
    }
    return (int)st;
}
