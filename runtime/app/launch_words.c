#include "runtime/app/launch_words.h"

#include <stdio.h>
#include <string.h>

/* mpirun draws 74; what a rank prints is not taken for one of its lines. */
enum { DASHES = 70 };

static bool is_edge(const strbuf *line)
{
    const char *text = strbuf_view(line);
    size_t n = strspn(text, "-");
    return n >= DASHES && text[n + strspn(text + n, "\r\n")] == '\0';
}

/* mpirun says so each time it hands on a signal of ours. */
static bool is_forwarding(const strbuf *line)
{
    return text_starts(strbuf_view(line), "mpirun: Forwarding signal ");
}

/* The first rank that fails says why; what others say follows from it. */
static void keep_error(job_words *w)
{
    static const char ours[] = "weft: ";
    const char *text = strbuf_view(&w->line);
    if (w->said.len > 0 || !text_starts(text, ours)) {
        return;
    }
    text += strlen(ours);
    if (!text_starts(text, "warning: ") && !text_starts(text, "debug: ")) {
        strbuf_add_bytes(&w->said, text, strcspn(text, "\r\n"));
    }
}

static void end_line(job_words *w, strbuf *on)
{
    if (is_edge(&w->line)) {
        w->in_box = !w->in_box;
    } else if (w->in_box || is_forwarding(&w->line)) {
        strbuf_add_bytes(&w->box, w->line.text, w->line.len);
    } else {
        keep_error(w);
        strbuf_add_bytes(on, w->line.text, w->line.len);
    }
    strbuf_cut(&w->line, 0);
}

void words_take(job_words *w, const char *bytes, size_t len, strbuf *on)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) + 1 : len;
        strbuf_add_bytes(&w->line, bytes, n);
        if (end != NULL) {
            end_line(w, on);
        }
        bytes += n;
        len -= n;
    }
}

void words_end(job_words *w, strbuf *on)
{
    if (w->line.len > 0) {
        end_line(w, on);
    }
}

bool words_death(const job_words *w, strbuf *out)
{
    static const char start[] = "noticed that process rank ";
    const char *at = strstr(strbuf_view(&w->box), start);
    char node[128] = "";
    char name[64] = "";
    int rank = 0;
    int sig = 0;
    if (at == NULL ||
        sscanf(at + strlen(start),
               "%9d with PID %*d on node %127s exited on signal %9d (%63[^)])",
               &rank, node, &sig, name) < 3) {
        return false;
    }
    strbuf_printf(out, "rank %d on %s was ended by signal %d%s%s%s", rank, node,
                  sig, name[0] != '\0' ? " (" : "", name,
                  name[0] != '\0' ? ")" : "");
    return true;
}

void words_fini(job_words *w)
{
    strbuf_fini(&w->line);
    strbuf_fini(&w->box);
    strbuf_fini(&w->said);
}
