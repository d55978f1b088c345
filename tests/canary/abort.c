/* Must be reported as failed, with the condition: an ASSERT. */
#include "runtime/base/status.h"

int main(int argc, char **argv)
{
    (void)argv;
    ASSERT(argc == 0);
    return 0;
}
