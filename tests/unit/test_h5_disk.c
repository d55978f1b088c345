/*
 * HDF5 helper, what is on the disk: live files, commits, a disk that breaks,
 * checksums, places.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/base/hash.h"
#include "tests/unit/h5_make.h"

/* ---- live files --------------------------------------------------------- */

static void test_live(void **state)
{
    const int64_t ranks = 3;
    h5_file *f = NULL, *g = NULL;
    double loss[20];
    float memory[20][3];
    (void)state;

    assert_int_equal(h5_live_create(path_of("live.h5"), &f), ST_OK);
    assert_int_equal(h5_column_create(f, "/steps/loss", H5_F64, 0, NULL),
                     ST_OK);
    assert_int_equal(h5_column_create(f, "/steps/mem", H5_F32, 1, &ranks),
                     ST_OK);
    assert_int_equal(access(path_of("live.h5"), F_OK), -1);
    assert_int_equal(h5_live_show(f), ST_OK);
    assert_int_equal(access(path_of("live.h5.tmp"), F_OK), -1);
    for (int i = 0; i < 10; i++) {
        const double value = i * 0.25;
        const float row_of[3] = {(float)i, (float)i + 1, (float)i + 2};
        assert_int_equal(h5_column_append(f, "/steps/loss", H5_F64, 1, &value),
                         ST_OK);
        assert_int_equal(h5_column_append(f, "/steps/mem", H5_F32, 1, row_of),
                         ST_OK);
        assert_int_equal(h5_flush(f), ST_OK);
    }
    assert_int_equal(h5_data_write(f, "/steps/loss", H5_F64, 10, 1, loss),
                     ST_INTERNAL);
    assert_int_equal(h5_close(&f), ST_OK);

    /* Go on after step 8: rows 8 and 9 are cut and written again. */
    assert_int_equal(h5_live_open(path_of("live.h5"), &f), ST_OK);
    assert_int_equal(h5_column_cut(f, "/steps/loss", 11), ST_BADFILE);
    assert_int_equal(h5_column_cut(f, "/steps/loss", 8), ST_OK);
    const double more[2] = {-1, -2};
    assert_int_equal(h5_column_append(f, "/steps/loss", H5_F64, 2, more),
                     ST_OK);
    assert_int_equal(h5_close(&f), ST_OK);

    g = reopen("live.h5");
    assert_int_equal(h5_data_read_all(g, "/steps/loss", H5_F64, 10, loss),
                     ST_OK);
    assert_true(loss[7] == 1.75 && loss[8] == -1 && loss[9] == -2);
    assert_int_equal(h5_data_read_all(g, "/steps/mem", H5_F32, 30, memory),
                     ST_OK);
    assert_true(memory[9][0] == 9 && memory[9][2] == 11);
    assert_int_equal(h5_close(&g), ST_OK);
}

static int64_t number_in(const char *name)
{
    int64_t n = -1;
    h5_file *f = reopen(name);

    assert_int_equal(h5_attr_need_i64(f, "/", "n", &n), ST_OK);
    assert_int_equal(h5_close(&f), ST_OK);
    return n;
}

static int64_t bytes_of(const char *name)
{
    struct stat info;

    assert_int_equal(stat(path_of(name), &info), 0);
    return info.st_size;
}

static h5_file *live_with(const char *name, int64_t n)
{
    h5_file *f = NULL;

    assert_int_equal(h5_live_create(path_of(name), &f), ST_OK);
    assert_int_equal(h5_attr_set_i64(f, "/", "n", n), ST_OK);
    return f;
}

/* An older file stays until a live one is whole, whatever ends that. */
static void test_live_older(void **state)
{
    h5_file *f = live_with("old.h5", 1);
    char part[PATH_MAX];
    (void)state;

    snprintf(part, sizeof(part), "%s", path_of("old.h5.part"));
    assert_int_equal(h5_live_show(f), ST_OK);
    assert_string_equal(h5_path_now(f), path_of("old.h5"));
    assert_int_equal(h5_commit(&f), ST_OK);
    const int64_t bytes = bytes_of("old.h5");

    f = live_with("old.h5", 2); /* given up before it had a name */
    assert_int_equal(number_in("old.h5"), 1);
    assert_int_equal(h5_close(&f), ST_OK);
    assert_int_equal(access(path_of("old.h5.tmp"), F_OK), -1);
    assert_int_equal(number_in("old.h5"), 1);

    f = live_with("old.h5", 3); /* ended early: both are there */
    assert_int_equal(h5_live_show(f), ST_OK);
    assert_string_equal(h5_path_now(f), part);
    assert_int_equal(number_in("old.h5"), 1);
    assert_int_equal(number_in("old.h5.part"), 3);
    assert_int_equal(h5_close(&f), ST_OK);
    assert_int_equal(number_in("old.h5"), 1);
    assert_int_equal(number_in("old.h5.part"), 3);

    assert_int_equal(bytes_of("old.h5"), bytes); /* no second seal either */

    f = live_with("old.h5", 4); /* dropped */
    assert_int_equal(h5_live_show(f), ST_OK);
    h5_abandon(&f);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(number_in("old.h5"), 1);

    f = live_with("old.h5", 5); /* whole */
    assert_int_equal(h5_live_show(f), ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(number_in("old.h5"), 5);
}

/* Another process reads while this one writes, and what was flushed survives
 * the writer being killed. */
static void test_live_reader_and_kill(void **state)
{
    int ready[2], status_of = 0;
    char mark = 0;
    double loss[100];
    h5_file *f = NULL;
    (void)state;

    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool fine = h5_live_create(path_of("kill.h5"), &f) == ST_OK &&
                    h5_column_create(f, "/loss", H5_F64, 0, NULL) == ST_OK &&
                    h5_live_show(f) == ST_OK;
        for (int i = 0; i < 100 && fine; i++) {
            const double value = i;
            fine = h5_column_append(f, "/loss", H5_F64, 1, &value) == ST_OK &&
                   h5_flush(f) == ST_OK;
        }
        mark = fine ? 'y' : 'n';
        if (write(ready[1], &mark, 1) == 1) {
            pause();
        }
        _exit(1);
    }
    assert_int_equal(read(ready[0], &mark, 1), 1);
    assert_int_equal(mark, 'y');
    for (int round = 0; round < 2; round++) { /* alive, then killed */
        f = reopen("kill.h5");
        assert_int_equal(h5_data_read_all(f, "/loss", H5_F64, 100, loss),
                         ST_OK);
        assert_true(loss[0] == 0 && loss[99] == 99);
        assert_int_equal(h5_close(&f), ST_OK);
        kill(child, SIGKILL);
        waitpid(child, &status_of, 0);
    }
    assert_true(WIFSIGNALED(status_of));
    close(ready[0]);
    close(ready[1]);
}

/* ---- commits ------------------------------------------------------------ */

static void test_commit(void **state)
{
    const double value = 1;
    h5_file *f = NULL, *g = NULL;
    (void)state;

    put("commit.h5", "old", 3);
    f = create("commit.h5");
    assert_int_equal(h5_data_put(f, "/x", H5_F64, 0, NULL, &value), ST_OK);
    struct stat info;
    assert_int_equal(stat(path_of("commit.h5"), &info), 0);
    assert_int_equal(info.st_size, 3); /* nothing there before the commit */
    assert_int_equal(h5_create(path_of("commit.h5"), H5_PLAIN, &g), ST_LOCKED);
    assert_non_null(strstr(status_text(), "another run"));
    h5_abandon(&f);
    assert_null(f);
    assert_int_equal(access(path_of("commit.h5.tmp"), F_OK), -1);
    assert_int_equal(stat(path_of("commit.h5"), &info), 0);
    assert_int_equal(info.st_size, 3);

    put("commit.h5.tmp", "left over from a crash", 22);
    assert_int_equal(chmod(path_of("commit.h5.tmp"), 01644), 0);
    f = create("commit.h5");
    assert_int_equal(h5_data_put(f, "/x", H5_F64, 0, NULL, &value), ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);
    assert_int_equal(access(path_of("commit.h5.tmp"), F_OK), -1);
    f = reopen("commit.h5");
    assert_true(h5_has(f, "/x"));
    assert_int_equal(h5_close(&f), ST_OK);
    h5_abandon(&f);

    assert_int_equal(h5_create(path_of("no/folder.h5"), H5_PLAIN, &f),
                     ST_CANTCREATE);
    assert_int_equal(h5_live_create(path_of("no/folder.h5"), &f),
                     ST_CANTCREATE);
    assert_int_equal(h5_create(folder, H5_PLAIN, &f), ST_CANTCREATE);
    assert_null(f);
}

/* The same content is the same bytes: no time stamps. */
static void test_same_bytes(void **state)
{
    static char bytes[2][100000];
    size_t have[2];
    (void)state;

    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "same0.h5" : "same1.h5";
        const double value = 4;
        h5_file *f = create(name);
        assert_int_equal(h5_column_create(f, "/a/c", H5_F64, 0, NULL), ST_OK);
        assert_int_equal(h5_column_append(f, "/a/c", H5_F64, 1, &value), ST_OK);
        assert_int_equal(h5_attr_set_i64(f, "/a", "n", 1), ST_OK);
        assert_int_equal(h5_text_write(f, "/text", "hello"), ST_OK);
        assert_int_equal(h5_commit(&f), ST_OK);
        FILE *in = fopen(path_of(name), "rb");
        assert_non_null(in);
        have[i] = fread(bytes[i], 1, sizeof(bytes[i]), in);
        fclose(in);
        usleep(i == 0 ? 1100000 : 0); /* HDF5's stamps are whole seconds */
    }
    assert_int_equal(have[0], have[1]);
    assert_true(have[0] > 1000);
    assert_memory_equal(bytes[0], bytes[1], have[0]);
}

/* From now on every write to this file fails, as on a broken disk: its open
 * descriptors are replaced by read-only ones. */
static void break_writes(const char *name)
{
    char link[64], target[256];
    int broken = 0;

    for (int fd = 3; fd < 100; fd++) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(link, target, sizeof(target) - 1);
        if (length < 0) {
            continue;
        }
        target[length] = '\0';
        if (strcmp(target, path_of(name)) == 0) {
            const int other = open("/dev/null", O_RDONLY);
            assert_int_equal(dup2(other, fd), fd);
            assert_int_equal(close(other), 0);
            broken++;
        }
    }
    assert_true(broken > 0);
}

/* The failure is reported in one line, nothing appears, and the library goes
 * on working, also when it ends. */
static void test_broken_disk(void **state)
{
    static float data[1 << 18];
    const int64_t count = 1 << 18, few = 100;
    h5_file *f = create("broken.h5");

    /* A large write fails at once. */
    break_writes("broken.h5.tmp");
    assert_int_equal(h5_data_put(f, "/w", H5_F32, 1, &count, data), ST_IO);
    assert_non_null(strstr(status_text(),
                           "broken.h5: /w: cannot be written; is the disk "
                           "full? (HDF5: Bad file descriptor)"));
    h5_abandon(&f);
    assert_int_equal(access(path_of("broken.h5.tmp"), F_OK), -1);

    /* A small one waits in a buffer; committing must find it. */
    f = create("broken.h5");
    break_writes("broken.h5.tmp");
    assert_int_equal(h5_column_create(f, "/c", H5_F32, 0, NULL), ST_OK);
    if (h5_column_append(f, "/c", H5_F32, few, data) == ST_OK) {
        assert_int_equal(h5_commit(&f), ST_IO);
        assert_non_null(strstr(status_text(), "broken.h5: cannot be written"));
    }
    h5_abandon(&f);
    assert_null(f);
    assert_int_equal(access(path_of("broken.h5"), F_OK), -1);
    assert_int_equal(access(path_of("broken.h5.tmp"), F_OK), -1);

    /* A live file. */
    assert_int_equal(h5_live_create(path_of("broken.h5"), &f), ST_OK);
    assert_int_equal(h5_live_show(f), ST_OK);
    assert_int_equal(h5_attr_set_i64(f, "/", "n", 1), ST_OK);
    break_writes("broken.h5");
    assert_int_equal(h5_flush(f), ST_IO);
    assert_int_equal(h5_attr_set_i64(f, "/", "n", 2), ST_OK);
    assert_int_equal(h5_close(&f), ST_IO);
    assert_null(f);
    test_commit(state);
}

/* ---- checksums and places ----------------------------------------------- */

/* Turns one bit of the first place where `bytes` are found. */
static void flip_in_file(const char *name, const void *bytes, size_t count)
{
    static char all[100000];
    FILE *f = fopen(path_of(name), "r+b");

    assert_non_null(f);
    const size_t have = fread(all, 1, sizeof(all), f);
    size_t at = 0;
    while (at + count <= have && memcmp(all + at, bytes, count) != 0) {
        at++;
    }
    assert_true(at + count <= have);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(all[at] ^ 1, f), (unsigned char)(all[at] ^ 1));
    assert_int_equal(fclose(f), 0);
}

static void test_checksums(void **state)
{
    const int64_t dim[2] = {5, 3};
    float w[15];
    (void)state;

    for (int i = 0; i < 15; i++) {
        w[i] = 1.0f / (float)(i + 3);
    }
    h5_file *f = create("sum.h5");
    assert_int_equal(h5_data_put(f, "/w", H5_F32, 2, dim, w), ST_OK);
    assert_int_equal(h5_data_put(f, "/v", H5_F32, 2, dim, w), ST_OK);
    assert_int_equal(h5_data_put(f, "/u", H5_F32, 2, dim, w), ST_OK);
    assert_int_equal(h5_checksum_set(f, "/w", hash64(w, sizeof(w))), ST_OK);
    assert_int_equal(h5_checksum_set(f, "/v", hash64(w, sizeof(w))), ST_OK);
    assert_int_equal(h5_commit(&f), ST_OK);

    f = reopen("sum.h5");
    char *w_text = NULL;
    assert_int_equal(h5_checksum_verify(f, "/w"), ST_OK);
    assert_int_equal(h5_checksum_verify(f, "/v"), ST_OK);
    assert_int_equal(h5_attr_get_text(f, "/w", "xxh3_64", NULL, &w_text),
                     ST_OK);
    assert_int_equal(strlen(w_text), 16);
    mem_free(w_text);
    assert_int_equal(h5_checksum_verify(f, "/u"), ST_BADFILE);
    assert_int_equal(h5_close(&f), ST_OK);

    flip_in_file("sum.h5", w, sizeof(w)); /* of /w, which comes first */
    f = reopen("sum.h5");
    assert_int_equal(h5_checksum_verify(f, "/w"), ST_CORRUPT);
    assert_non_null(strstr(status_text(), "sum.h5: /w: checksum is "));
    assert_int_equal(h5_checksum_verify(f, "/v"), ST_OK);
    assert_int_equal(h5_close(&f), ST_OK);
}

/* The place of an aligned dataset can be written without HDF5. */
static void test_aligned(void **state)
{
    const int64_t dim[2] = {100, 3}, one = 1;
    int64_t offset = 0, other = 0;
    float w[300], out[300];
    h5_file *f = NULL;
    (void)state;

    for (int i = 0; i < 300; i++) {
        w[i] = (float)i;
    }
    assert_int_equal(h5_create(path_of("al.h5"), H5_ALIGNED, &f), ST_OK);
    assert_int_equal(h5_data_create(f, "/pad", H5_U8, 1, &one), ST_OK);
    assert_int_equal(h5_data_create(f, "/big", H5_F32, 2, (int64_t[]){5000, 1}),
                     ST_OK);
    assert_int_equal(h5_data_create(f, "/w", H5_F32, 2, (int64_t[]){2000, 3}),
                     ST_OK);
    assert_int_equal(h5_column_create(f, "/c", H5_F32, 0, NULL), ST_OK);
    assert_int_equal(h5_data_offset(f, "/w", &offset), ST_OK);
    assert_int_equal(h5_data_offset(f, "/big", &other), ST_OK);
    assert_int_equal(h5_data_offset(f, "/c", &other), ST_BADFILE);
    assert_int_equal(offset % 4096, 0);
    assert_int_equal(other % 4096, 0);
    assert_int_equal(h5_commit(&f), ST_OK);

    const int fd = open(path_of("al.h5"), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, w, sizeof(w), offset + 12), sizeof(w));
    assert_int_equal(close(fd), 0);
    f = reopen("al.h5");
    assert_int_equal(h5_data_read(f, "/w", H5_F32, 1, dim[0], out), ST_OK);
    assert_memory_equal(out, w, sizeof(w));
    assert_int_equal(h5_close(&f), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_live_older),
        cmocka_unit_test(test_live_reader_and_kill),
        cmocka_unit_test(test_commit),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_broken_disk),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_aligned),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
