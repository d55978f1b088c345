/*
 * Mapped files: what they hold, and one that is cut while it is read.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "runtime/io/mapfile.h"
#include "tests/common/scratch.h"

enum { BYTES = 3 * 4096 };

static const char *make(void)
{
    static char bytes[BYTES];
    bytes[BYTES - 1] = 7;
    return put("a", bytes, BYTES);
}

static void test_holds(void **state)
{
    mapfile f;
    (void)state;
    OK(mapfile_open(make(), &f));
    assert_int_equal(f.bytes, BYTES);
    assert_int_equal(f.data[BYTES - 1], 7);
    mapfile_close(&f);
    mapfile_close(&f);
    unlink(path_of("a"));
}

/* In a child: maps, of which one is closed, then reads what was cut off. */
static void read_cut(const char *path, int said)
{
    mapfile f;
    mapfile other;
    dup2(said, STDERR_FILENO);
    if (mapfile_open(path, &other) != ST_OK ||
        mapfile_open(path, &f) != ST_OK) {
        _exit(1);
    }
    mapfile_close(&other);
    if (truncate(path, 1) != 0) {
        _exit(2);
    }
    const volatile uint8_t *last = &f.data[BYTES - 1];
    _exit(*last == 7 ? 3 : 4);
}

static void test_cut(void **state)
{
    char text[600] = "";
    int ends[2];
    int how = 0;
    (void)state;
    const char *path = make();
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        read_cut(path, ends[1]);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), ST_IO);
    assert_non_null(strstr(text, path));
    assert_non_null(strstr(text, ": was cut while it was read; put it"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut), /* first: cmocka has handlers, too */
        cmocka_unit_test(test_holds),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
