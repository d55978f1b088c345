/*
 * HDF5, numbers and languages, the clock, names, who we are, what reports and
 * models need.
 */
#include <locale.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runtime/app/doctor.h"
#include "runtime/app/launch.h"
#include "runtime/base/clock.h"
#include "runtime/base/shelf.h"
#include "runtime/base/units.h"
#include "runtime/io/h5.h"
#include "runtime/train/host.h"

bool doctor_on_path(const char *file)
{
    const char *path = launch_variable("PATH");
    strbuf name = {0};
    bool found = false;
    while (path != NULL && *path != '\0' && !found) {
        size_t n = strcspn(path, ":");
        strbuf_cut(&name, 0);
        strbuf_add_bytes(&name, n > 0 ? path : ".", n > 0 ? n : 1);
        strbuf_printf(&name, "/%s", file);
        found = access(strbuf_view(&name), X_OK) == 0 &&
                !text_is_dir(strbuf_view(&name));
        path += n + (path[n] == ':' ? 1 : 0);
    }
    strbuf_fini(&name);
    return found;
}

static void check_hdf5(doctor *d)
{
    h5_features l;
    if (h5_features_get(&l) != ST_OK) {
        doctor_add(d, DOCTOR_PROBLEM, "hdf5", "install libhdf5-openmpi anew",
                   "%s", status_text());
        return;
    }
    bool same = strcmp(l.version, l.header_version) == 0;
    bool usable = same && l.gzip && l.shuffle;
    doctor_add(d, usable ? DOCTOR_OK : DOCTOR_PROBLEM, "hdf5",
               !same    ? "build Weft again: make clean && make"
               : usable ? NULL
                        : "install a build of HDF5 with zlib",
               "%s%s%s, %s, filters gzip %s, shuffle %s%s", l.version,
               same ? "" : " but built for ", same ? "" : l.header_version,
               l.parallel ? "parallel" : "serial", l.gzip ? "yes" : "no",
               l.shuffle ? "yes" : "no",
               l.threadsafe ? ", locks" : ", without locks");
}

/* Weft never calls setlocale with a language, so that 1.5 is one and a half
 * everywhere; a library could. */
static void check_numbers(doctor *d)
{
    char text[32];
    char *end = NULL;
    double value = strtod("1.5", &end);
    (void)snprintf(text, sizeof(text), "%.1f", 1.5);
    bool right = value == 1.5 && *end == '\0' && strcmp(text, "1.5") == 0;
    const char *all = launch_variable("LC_ALL");
    const char *number = launch_variable("LC_NUMERIC");
    const char *lang = launch_variable("LANG");
    const char *says = all != NULL && all[0] != '\0'         ? all
                       : number != NULL && number[0] != '\0' ? number
                       : lang != NULL && lang[0] != '\0'     ? lang
                                                             : "nothing";
    doctor_add(d, right ? DOCTOR_OK : DOCTOR_PROBLEM, "numbers",
               right ? NULL : "export LC_ALL=C",
               "1.5 is written %s and read as %g; the environment says %s",
               text, value, says);
}

static void check_clock(doctor *d)
{
    enum { READS = 20000 };
    int64_t begin = clock_wall_ns();
    int64_t last = begin;
    int64_t step = INT64_MAX;
    for (int i = 0; i < READS; i++) {
        int64_t now = clock_wall_ns();
        step = now > last && now - last < step ? now - last : step;
        last = now;
    }
    double each = (double)(last - begin) / READS;
    char source[32] = "unknown";
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/"
                    "current_clocksource",
                    "r");
    if (f != NULL) {
        if (fgets(source, sizeof(source), f) == NULL) {
            source[0] = '\0';
        }
        source[strcspn(source, "\n")] = '\0';
        (void)fclose(f);
    }
    bool poor = each > 1000 || step > 10000;
    doctor_add(d, poor ? DOCTOR_WARNING : DOCTOR_OK, "clock",
               poor ? "a kernel with clocksource tsc; times of short "
                      "operations are too long here"
                    : NULL,
               "%s, smallest step %lld ns, %.0f ns a read", source,
               (long long)step, each);
}

/* Open MPI and HDF5 ask for it; a name server that does not answer makes
 * every start slow. */
static void check_hostname(doctor *d)
{
    char name[128];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    host_name(name, sizeof(name));
    int64_t begin = clock_wall_ns();
    int rc = getaddrinfo(name, NULL, &hints, &found);
    double seconds = (double)(clock_wall_ns() - begin) * 1e-9;
    if (rc == 0) {
        freeaddrinfo(found);
    }
    bool bad = rc != 0 || seconds > 1;
    doctor_add(d, bad ? DOCTOR_WARNING : DOCTOR_OK, "hostname",
               bad ? "add a line \"127.0.1.1 NAME\" with it to /etc/hosts"
                   : NULL,
               "%s: %s in %s", name, rc == 0 ? "found" : gai_strerror(rc),
               units_seconds(seconds).s);
}

static bool in_container(void)
{
    return text_path_exists("/.dockerenv") ||
           text_path_exists("/run/.containerenv") ||
           launch_variable("container") != NULL ||
           launch_variable("SINGULARITY_NAME") != NULL ||
           launch_variable("APPTAINER_NAME") != NULL;
}

static void check_user(doctor *d)
{
    const char *where = in_container() ? "in a container" : "on the machine";
    if (geteuid() != 0) {
        doctor_add(d, DOCTOR_OK, "user", NULL, "not root, %s", where);
        return;
    }
    doctor_add(d, DOCTOR_OK, "user", NULL,
               "root, %s; mpirun by hand needs --allow-run-as-root, Weft's own "
               "does not",
               where);
}

static void check_gnuplot(doctor *d)
{
    bool there = doctor_on_path("gnuplot");
    doctor_add(d, there ? DOCTOR_OK : DOCTOR_WARNING, "gnuplot",
               there ? NULL : "install gnuplot-nox, if pictures are wanted",
               "%s",
               there ? "is there, for pictures of reports"
                     : "is not on the PATH: reports have no pictures");
}

static void check_models(doctor *d)
{
    char **names = NULL;
    int n = 0;
    if (shelf_list("models", &names) == ST_OK) {
        while (names[n] != NULL) {
            n++;
        }
    }
    shelf_list_free(names);
    doctor_add(d, n > 0 ? DOCTOR_OK : DOCTOR_WARNING, "models",
               n > 0 ? NULL
                     : "run make install, or start where configs is; a path "
                       "of a config.json works anyhow",
               "%d have names", n);
}

void doctor_software(doctor *d)
{
    check_hdf5(d);
    check_numbers(d);
    check_clock(d);
    check_hostname(d);
    check_user(d);
    check_gnuplot(d);
    check_models(d);
}
