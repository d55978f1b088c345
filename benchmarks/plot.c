#include "benchmarks/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"

enum { SVG_BYTES_MAX = 64 * 1048576, MESSAGE_MAX = 400 };

/* The first four of memory are those of the Ultra-Scale Playbook; lines are
 * Okabe and Ito's, which colour-blind people can tell apart. */
const html_colour plot_colours[PLOT_COLOURS + 1] = {
    {"axis", "#767676", "#8c8c8c"},
    {"grid", "#dddddd", "#3a3d42"},
    {"parameters", "#4ea5b7", "#4ea5b7"},
    {"gradients", "#e889ab", "#e889ab"},
    {"optimizer", "#cec0fa", "#cec0fa"},
    {"activations", "#e38a42", "#e38a42"},
    {"working", "#7d8796", "#98a2b3"},
    {"logits", "#a9b94a", "#b8c857"},
    {"scratch", "#8a5a44", "#b07d63"},
    {"store", "#5b6abf", "#8c9aee"},
    {"compute", "#2f6f94", "#4d93bb"},
    {"backward", "#7fb4d2", "#9fd0ea"},
    {"load", "#dfa32e", "#e8b44c"},
    {"drain", "#a3701a", "#b98a3a"},
    {"comm", "#bf4f87", "#d874a6"},
    {"bubble", "#c4c4c4", "#5f646b"},
    {"update", "#8b7ad0", "#a596e6"},
    {"other", "#5e5e5e", "#a3a3a3"},
    {"c1", "#0072b2", "#4aa8e0"},
    {"c2", "#d55e00", "#ff8a3d"},
    {"c3", "#009e73", "#2fd0a0"},
    {"c4", "#cc79a7", "#e79cc5"},
    {"c5", "#e69f00", "#ffc04d"},
    {"c6", "#56b4e9", "#9ad6f7"},
    {"c7", "#6f4e9c", "#b596e0"},
    {"c8", "#8a8a00", "#c9c93f"},
    {NULL, NULL, NULL},
};

struct plotter {
    char *dir; /* absolute: gnuplot starts there */
    char *png; /* absolute, or NULL              */
    bool is_temporary;
};

void plot_figure_fini(plot_figure *f)
{
    strbuf_fini(&f->desc);
    strbuf_fini(&f->script);
    strbuf_fini(&f->data);
}

/* Between single quotes gnuplot replaces nothing. It knows a doubled quote,
 * but ends the text there where that comes first: so no quote gets in. */
static void quote_bytes(strbuf *script, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_plain = (unsigned char)text[i] >= ' ';
        if (text[i] == '\'') {
            strbuf_add(script, "’");
        } else {
            strbuf_add_bytes(script, is_plain ? &text[i] : " ", 1);
        }
    }
}

/* Cut in the middle: names that are alike at first are apart at the end. */
void plot_quote(strbuf *script, const char *text, size_t most)
{
    size_t length = html_length(text);
    bool is_cut = length > most;
    size_t behind = is_cut ? (most - 1) / 2 : 0;
    size_t before = is_cut ? most - 1 - behind : length;
    const char *end = text + html_prefix(text, length - behind);
    strbuf_add(script, "'");
    quote_bytes(script, text, html_prefix(text, before));
    strbuf_add(script, is_cut ? "…" : "");
    quote_bytes(script, end, strlen(end));
    strbuf_add(script, "'");
}

void plot_number(strbuf *data, double x)
{
    strbuf_printf(data, isfinite(x) ? " %.7g" : " NaN", x);
}

/* --- the process ---------------------------------------------------------- */

enum { CANNOT_START = 127 };

static void become_gnuplot(char **args)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log = open("gnuplot.log", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    /* Numbers with a point, texts in UTF-8, whatever the caller's language. */
    bool is_set = setenv("LC_ALL", "C.UTF-8", 1) == 0;
    if (null >= 0 && log >= 0 && is_set) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(log, STDOUT_FILENO);
        (void)dup2(log, STDERR_FILENO);
        (void)execvp(args[0], args);
    }
    _exit(CANNOT_START);
}

/* What gnuplot said, on one line. */
static void read_message(char out[MESSAGE_MAX], const char *path)
{
    char *text = NULL;
    out[0] = '\0';
    if (text_read_file(path, 1048576, &text, NULL) == ST_OK) {
        html_clean(text);
        size_t blank = strspn(text, " ");
        text_copy(out, MESSAGE_MAX, text + blank);
        mem_free(text);
    }
}

/* Runs gnuplot in the folder; its messages go to gnuplot.log there. */
static status run_gnuplot(const plotter *p, const char *argument)
{
    char gnuplot[] = "gnuplot";
    char no_defaults[] = "-d";
    char *args[] = {gnuplot, no_defaults, (char *)argument, NULL};
    pid_t pid = fork();
    REQUIRE(pid >= 0, ST_SYSTEM, "cannot start a process: %s", strerror(errno));
    if (pid == 0) {
        if (chdir(p->dir) == 0) {
            become_gnuplot(args);
        }
        _exit(CANNOT_START);
    }
    int code = 0;
    while (waitpid(pid, &code, 0) < 0) {
        REQUIRE(errno == EINTR, ST_SYSTEM, "cannot wait for gnuplot: %s",
                strerror(errno));
    }
    TRY(stop_check()); /* Ctrl-C ends gnuplot, too */
    REQUIRE(!WIFEXITED(code) || WEXITSTATUS(code) != CANNOT_START, ST_NOINPUT,
            "gnuplot is missing, it draws the report: install Debian's "
            "package gnuplot-nox, or run 'make deps'");
    if (code != 0) {
        char said[MESSAGE_MAX];
        char *log = NULL;
        TRY(text_path_join(p->dir, "gnuplot.log", &log));
        read_message(said, log);
        mem_free(log);
        return FAIL(ST_SYSTEM, "gnuplot failed on %s: %s", argument, said);
    }
    return ST_OK;
}

/* --- folders -------------------------------------------------------------- */

static status absolute(const char *path, char **out)
{
    char real[PATH_MAX];
    TRY(text_make_dirs(path));
    REQUIRE(realpath(path, real) != NULL, ST_CANTCREATE, "%s: %s", path,
            strerror(errno));
    return mem_strdup(real, out);
}

/* A folder that nobody else has, beside the file that the drawings are for. */
static status temporary(const char *beside, char **out)
{
    char real[PATH_MAX];
    char *dir = NULL;
    strbuf path = {0};
    TRY(text_path_dir(beside, &dir));
    bool is_there = realpath(dir, real) != NULL;
    mem_free(dir);
    REQUIRE(is_there, ST_CANTCREATE, "%s: cannot create: %s", beside,
            strerror(errno));
    strbuf_printf(&path, "%s/.weft-report-XXXXXX", real);
    TRY(strbuf_take(&path, out));
    if (mkdtemp(*out) == NULL) {
        status st = FAIL(ST_CANTCREATE,
                         "%s: cannot make a temporary folder "
                         "beside it: %s",
                         beside, strerror(errno));
        mem_free(*out);
        *out = NULL;
        return st;
    }
    return ST_OK;
}

/* Path of a file of a figure. Owns: *out. */
static status file_of(const char *dir, const char *name, const char *end,
                      char **out)
{
    strbuf path = {0};
    strbuf_printf(&path, "%s/%s%s", dir, name, end);
    return strbuf_take(&path, out);
}

static void remove_file(const plotter *p, const char *name, const char *end)
{
    char *path = NULL;
    if (file_of(p->dir, name, end, &path) == ST_OK) {
        (void)unlink(path);
        mem_free(path);
    }
}

status plot_open(const char *keep, const char *png, const char *beside,
                 plotter **out)
{
    plotter *p = NULL;
    TRY(MEM_NEW(&p, 1, "plot"));
    p->is_temporary = keep == NULL;
    status st = ST_OK;
    TRY_GOTO(keep != NULL ? absolute(keep, &p->dir)
                          : temporary(beside, &p->dir),
             fail);
    if (png != NULL) {
        TRY_GOTO(absolute(png, &p->png), fail);
    }
    /* Says now, before anything is read, that gnuplot is missing. */
    TRY_GOTO(run_gnuplot(p, "--version"), fail);
    *out = p;
    return ST_OK;
fail:
    plot_close(p);
    return st;
}

void plot_close(plotter *p)
{
    if (p == NULL) {
        return;
    }
    if (p->dir != NULL) {
        remove_file(p, "gnuplot", ".log");
        if (p->is_temporary) {
            (void)rmdir(p->dir);
        }
    }
    mem_free(p->dir);
    mem_free(p->png);
    mem_free(p);
}

/* --- drawing -------------------------------------------------------------- */

static void add_head(const plotter *p, const plot_figure *f, strbuf *s)
{
    strbuf_printf(s,
                  "# gnuplot %s.gp draws %s.svg from %s.dat\n"
                  "set terminal svg size %d,%d dynamic font 'sans-serif,15' "
                  "butt noenhanced\n"
                  "set output '%s.svg'\n"
                  "set encoding utf8\n"
                  "data = '%s.dat'\n"
                  "set border 3 lc rgb '%s' lw 1\n"
                  "set tics nomirror out scale 0.6 textcolor rgb 'black'\n"
                  "set xtics offset 0,0.5\nset xlabel offset 0,0.9\n"
                  "set grid lc rgb '%s' lt 1 lw 1\n",
                  f->name, f->name, f->name, f->width, f->height, f->name,
                  f->name, plot_colours[PLOT_AXIS].light,
                  plot_colours[PLOT_GRID].light);
    strbuf_add(s, strbuf_view(&f->script));
    if (p->png != NULL) {
        strbuf_printf(s,
                      "set terminal pngcairo size %d,%d font 'sans-serif,15' "
                      "fontscale 1.5 linewidth 2 pointscale 2 butt noenhanced "
                      "background '#ffffff'\n"
                      "set output ",
                      2 * f->width, 2 * f->height);
        strbuf path = {0};
        strbuf_printf(&path, "%s/%s.png", p->png, f->name);
        plot_quote(s, strbuf_view(&path), PATH_MAX);
        strbuf_fini(&path);
        strbuf_add(s, "\nreplot\n");
    }
}

static status write_files(const plotter *p, plot_figure *f)
{
    strbuf script = {0};
    char *path = NULL;
    add_head(p, f, &script);
    status st = strbuf_check(&script);
    st = st == ST_OK ? strbuf_check(&f->data) : st;
    TRY_GOTO(st, done);
    TRY_GOTO(file_of(p->dir, f->name, ".gp", &path), done);
    TRY_GOTO(text_write_file(path, strbuf_view(&script), script.len), done);
    mem_free(path);
    path = NULL;
    TRY_GOTO(file_of(p->dir, f->name, ".dat", &path), done);
    st = text_write_file(path, strbuf_view(&f->data), f->data.len);
done:
    mem_free(path);
    strbuf_fini(&script);
    return st;
}

static status adopt(const plotter *p, const plot_figure *f, strbuf *page)
{
    char *path = NULL;
    char *svg = NULL;
    TRY(file_of(p->dir, f->name, ".svg", &path));
    status st = text_read_file(path, SVG_BYTES_MAX, &svg, NULL);
    mem_free(path);
    TRY(st);
    st = html_adopt_svg(svg, f->name, f->title, strbuf_view(&f->desc),
                        plot_colours, page);
    mem_free(svg);
    return st;
}

status plot_draw(plotter *p, plot_figure *f, strbuf *page)
{
    char *script = NULL;
    TRY(strbuf_check(&f->script));
    TRY(write_files(p, f));
    TRY(file_of(".", f->name, ".gp", &script));
    status st = run_gnuplot(p, script);
    mem_free(script);
    if (st == ST_OK) {
        st = adopt(p, f, page);
    }
    if (p->is_temporary) {
        remove_file(p, f->name, ".gp");
        remove_file(p, f->name, ".dat");
        remove_file(p, f->name, ".svg");
    }
    return st;
}
