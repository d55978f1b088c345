#!/bin/sh
# Checks every #include against the table of layers.
#
#   - our own headers are included from the root: "runtime/base/mem.h";
#   - a folder includes itself and the folders its row below names;
#   - each foreign header has one home.
#
# Tests may include everything. The table is the one of ARCHITECTURE.md: change
# both or none.
set -eu
cd "$(dirname "$0")/../.."

find runtime ws partition benchmarks tests -name '*.[ch]' -print | sort |
    xargs awk '
BEGIN {
    R = "runtime/"
    # Rows: folder -> what else it may include. "R" is runtime/.
    row("runtime/base", "")
    row("runtime/comm", "base")
    row("runtime/io", "base comm")
    row("runtime/text", "base io")
    row("runtime/math", "base")
    row("runtime/program", "base")
    row("runtime/gpt", "base math program")
    row("runtime/device", "base program")
    row("runtime/exec", "base comm io math program gpt device")
    row("runtime/sim", "base program gpt")
    row("runtime/results", "base comm io program gpt device")
    lower = "base comm io text math program gpt device exec sim results"
    row("runtime/train", lower)
    row("ws/compile", "base program gpt sim")
    row("ws/store", lower)
    row("ws/swarm", lower)
    row("partition", "base program gpt sim")
    row("benchmarks", lower " train")
    more["benchmarks"] = "ws partition"
    more["ws/store"] = "ws/swarm"
    more["ws/swarm"] = "ws/store"
    row("ws", lower)
    more["ws"] = "ws/compile ws/store ws/swarm"
    all["runtime/app"] = 1
    all["tests"] = 1

    home["mpi.h"] = "runtime/comm"
    home["hdf5.h"] = home["hdf5_hl.h"] = "runtime/io"
    home["liburing.h"] = "runtime/io"
    home["jansson.h"] = home["popt.h"] = home["xxhash.h"] = "runtime/base"
    home["pcre2.h"] = "runtime/text"
    home["blis.h"] = home["cblas.h"] = "runtime/math"
}

function row(folder, list,    n, part, i) {
    n = split(list, part, " ")
    may[folder] = " "
    for (i = 1; i <= n; i++) {
        may[folder] = may[folder] R part[i] " "
    }
}

# "runtime/base/mem.h" -> "runtime/base"; "partition/grid/x.h" -> "partition";
# "ws/compile.h" is the layer "ws/compile" as a folder of that name would be.
function layer(path,    part) {
    split(path, part, "/")
    if (path ~ /^ws\/compile[._]/) {
        return "ws/compile"
    }
    if (part[1] == "runtime" || (part[1] == "ws" && part[3] != "")) {
        return part[1] "/" part[2]
    }
    return part[1]
}

function bad(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text
    failed = 1
}

# True if layer `to` is in the row of `from`; "ws" stands for all below it.
function allowed(from, to,    top, n, part, i) {
    if (from == to || index(may[from], " " to " ") > 0) {
        return 1
    }
    n = split(more[from], part, " ")
    for (i = 1; i <= n; i++) {
        if (to == part[i] || index(to "/", part[i] "/") == 1) {
            return 1
        }
    }
    return 0
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    to = quoted[2]
    if (to !~ /^(runtime|ws|partition|benchmarks|tests)\//) {
        bad("\"" to "\" is not included from the root")
        next
    }
    from = layer(FILENAME)
    if (!(from in all) && !(from in may)) {
        bad("folder " from " is not in the table of layers")
    } else if (!(from in all) && !allowed(from, layer(to))) {
        bad(from " may not include " layer(to) " (" to ")")
    }
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    to = $0
    sub(/^[^<]*</, "", to)
    sub(/>.*/, "", to)
    from = layer(FILENAME)
    if (to in home && from != home[to] && from != "tests") {
        bad("<" to "> is used in " home[to] " only")
    }
}

END {
    if (failed) {
        exit 1
    }
    print "lint: layers ok"
}'
