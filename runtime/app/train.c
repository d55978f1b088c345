/*
 * weft train. Options and plan are checked before MPI starts; a plan that
 * needs several ranks is started under mpirun by the program itself, unless
 * it runs there already.
 */
#include <stdio.h>
#include <string.h>

#include "benchmarks/run_args.h"
#include "runtime/app/binding.h"
#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/app/run_files.h"
#include "runtime/app/same_run.h"
#include "runtime/base/clock.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/io/tokens.h"
#include "runtime/results/checkpoint.h"
#include "runtime/train/resume.h"
#include "runtime/train/run.h"

typedef struct run_of {
    run_args a;
    opt_parsed *parsed;
    setup_options so;
    setup s;
    comm *given; /* a world that is there already, or NULL */
    comm *world;
    int64_t joining_ns; /* what starting MPI took                          */
    store *store;
    strbuf cmdline, config;
    char *model_config;
    machine *machine; /* for predictions, or NULL                          */
    run_files files;
    run_decision decisions[PLAN_DECISIONS_MAX];
    ckpt_info from; /* what --resume names, else zeros                     */
    uint64_t data_hash, from_hash; /* of --data; of --init or --resume     */
} run_of;

/* Ranks of this job: how many, which is this, how many on its node. Before MPI
 * has started mpirun's variables say so; 0 if there is no job. */
static int job_ranks(const run_of *r)
{
    return r->given != NULL ? comm_size(r->given) : launch_ranks();
}

static int job_rank(const run_of *r)
{
    return r->given != NULL ? comm_rank(r->given) : launch_rank();
}

static int job_local_ranks(const run_of *r)
{
    return r->given != NULL ? comm_node_size(r->given) : launch_local_ranks();
}

/* The command as a person gave it: --launched-at is our own. */
static void join_words(int argc, const char *const *argv, strbuf *out)
{
    strbuf_add(out, "weft");
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--launched-at") == 0) {
            i++;
        } else {
            strbuf_add(out, " ");
            strbuf_add_word(out, argv[i]);
        }
    }
}

/* An option that would do nothing was not meant so. */
static status check_options(const run_of *r)
{
    const char *other = run_args_unpredicted(&r->a);
    TRY(run_args_check_idle(&r->a, r->parsed, "train"));
    REQUIRE(r->a.machine == NULL || other == NULL || r->a.launched_at > 0,
            ST_USAGE,
            "train: --machine has no laws for %s, its prediction would be of "
            "another run; leave one of them out",
            other);
    REQUIRE(r->a.plan != NULL || r->a.store != SETUP_STORE_NULL ||
                r->a.save == NULL,
            ST_USAGE,
            "train: --store null keeps no weights, there is nothing to "
            "--save; leave one of them out");
    REQUIRE(r->a.plan != NULL || r->a.store != SETUP_STORE_NULL ||
                (r->a.resume == NULL && r->a.init == NULL),
            ST_USAGE,
            "train: --store null keeps no weights, not those of a checkpoint "
            "either; leave it or the checkpoint out");
    REQUIRE(r->a.save_every == 0 || r->a.save != NULL, ST_USAGE,
            "train: --save-every needs --save FILE");
    return run_args_check_values(&r->a, "train");
}

static status parse(run_of *r, int argc, const char *const *argv)
{
    TRY(opt_parse(&train_command, argc, argv, &r->a, sizeof(r->a), &r->parsed));
    if (opt_wants_help(r->parsed)) {
        return ST_OK;
    }
    run_args_default(&r->a, opt_given(r->parsed, "min-lr"));
    REQUIRE(r->a.data != NULL, ST_USAGE,
            "train: --data FILE is missing; any text will do");
    REQUIRE(r->a.init == NULL || r->a.resume == NULL, ST_USAGE,
            "train: --init starts a new run, --resume goes on with one; give "
            "one of them");
    TRY(check_options(r));
    run_args_setup(&r->a, opt_arg(r->parsed, 0), &r->so);
    join_words(argc, argv, &r->cmdline);
    return ST_OK;
}

/* What ranks compare of their files; one alone need not read them for it. */
static status hash_inputs(run_of *r)
{
    const run_args *a = &r->a;
    const char *from = a->resume != NULL ? a->resume : a->init;
    tokens *data = NULL;
    if (setup_ranks(&r->s) == 1 || (r->given == NULL && !launch_is_rank())) {
        return ST_OK;
    }
    TRY(tokens_open(a->data, &data));
    r->data_hash = tokens_hash(data);
    tokens_close(data);
    return from == NULL
               ? ST_OK
               : ckpt_hash(from, a->resume != NULL ? CKPT_ALL : CKPT_WEIGHTS,
                           &r->from_hash);
}

static status say_binding(const run_of *r)
{
    binding b = binding_of(r->world, (int)r->a.threads);
    strbuf text = {0};
    if (!binding_is_tight(&b)) {
        return ST_OK;
    }
    bool mpirun = launch_is_rank() && r->a.launched_at == 0;
    binding_write_tight(&b, binding_cause_of(mpirun), &text);
    status st = strbuf_check(&text);
    if (st == ST_OK) {
        log_warn("%s", strbuf_view(&text));
    }
    strbuf_fini(&text);
    return st;
}

static status say_dropout(const run_of *r)
{
    strbuf text = {0};
    status st = arch_dropout(r->so.model, &text);
    st = st == ST_OK ? strbuf_check(&text) : st;
    if (st == ST_OK && text.len > 0) {
        log_info("%s", strbuf_view(&text));
    }
    strbuf_fini(&text);
    return st;
}

/* Who names a folder with weights may think that they are taken. */
static status say_weights(const run_of *r)
{
    strbuf text = {0};
    status st = arch_weights_beside(r->so.model, &text);
    if (st == ST_OK && text.len > 0) {
        log_warn("%s is not read: weights start from the seed; weft convert "
                 "makes a checkpoint of its folder for --init",
                 strbuf_view(&text));
    }
    strbuf_fini(&text);
    return st;
}

static status say_data(const run_of *r)
{
    tokens *data = NULL;
    TRY(tokens_open(r->a.data, &data));
    tokens_warn(data);
    tokens_close(data);
    return ST_OK;
}

/* Rank 0 speaks for all. */
static status say_first(const run_of *r)
{
    bool from_seed = r->a.init == NULL && r->a.resume == NULL;
    if (comm_rank(r->world) > 0) {
        return ST_OK;
    }
    TRY(say_binding(r));
    TRY(r->a.quiet ? ST_OK : say_dropout(r));
    TRY(r->a.quiet || !from_seed ? ST_OK : say_weights(r));
    return say_data(r);
}

/* A step may last; who asks for a stop should know that it was heard. */
static void answer_signals(const run_of *r)
{
    if (comm_rank(r->world) == 0 && !r->a.quiet && r->given == NULL) {
        stop_answer(
            r->a.save != NULL
                ? "weft: stopping after this step, and saving; Ctrl-C (SIGINT) "
                  "once more ends it at once\n"
                : "weft: stopping after this step; Ctrl-C (SIGINT) once more "
                  "ends it at once\n",
            comm_size(r->world) == 1);
    }
}

/* Streaming leaves nothing to decide; who does so anyway has decided. */
static int streamed_decisions(const run_args *a, plan_decision *d)
{
    int n = 0;
    if (a->micro_batch > 0) {
        d[n] = (plan_decision){.key = "micro_batch",
                               .rules = "micro_batch memory"};
        (void)snprintf(d[n++].value, sizeof(d[0].value), "%lld",
                       (long long)a->micro_batch);
    }
    if (a->recompute != SETUP_RECOMPUTE_AUTO) {
        d[n] = (plan_decision){.key = "recompute", .rules = "memory"};
        (void)snprintf(d[n++].value, sizeof(d[0].value), "%s",
                       a->recompute == SETUP_RECOMPUTE_FULL ? "full" : "none");
    }
    return n;
}

static void list_decisions(run_of *r, run_setup *m)
{
    plan_decision d[PLAN_DECISIONS_MAX];
    int n = r->s.streamed ? streamed_decisions(&r->a, d)
                          : plan_decisions(&r->s.plan, d);
    for (int i = 0; i < n; i++) {
        run_decision *to = &r->decisions[i];
        memcpy(to->key, d[i].key, sizeof(d[i].key));
        memcpy(to->value, d[i].value, sizeof(d[i].value));
        memcpy(to->rules, d[i].rules, sizeof(d[i].rules));
    }
    m->decisions = r->decisions;
    m->ndecisions = n;
}

static void fill_job(run_of *r, double launch_s, train_job *j)
{
    const run_args *a = &r->a;
    *j = (train_job){
        .a = &r->s.a,
        .ps = &r->s.ps,
        .set = &r->s.set,
        .sh = r->s.sh,
        .math = r->s.math,
        .store = r->store,
        .world = r->world,
        .device_memory = a->device_memory,
        .link_rate = a->link_rate,
        .link_latency = a->link_latency,
        .exact_sums = a->sums == 0,
        .recipe = {.steps = a->steps,
                   .lr = a->lr,
                   .min_lr = a->min_lr,
                   .warmup = a->warmup,
                   .beta1 = a->beta1,
                   .beta2 = a->beta2,
                   .eps = a->eps,
                   .weight_decay = a->weight_decay,
                   .grad_clip = a->grad_clip,
                   .skip_broken = a->on_nan == 1,
                   .seed = (uint64_t)a->seed},
        .data = a->data,
        .val_fraction = a->val_fraction,
        .val_every = a->val_every,
        .val_batches = a->val_batches,
        .log_every = a->log_every,
        .init = a->init,
        .resume = a->resume,
        .save = a->save,
        .save_every = a->save_every,
        .stop_after = a->stop_after,
        .out = a->out,
        .machine = r->machine,
        .plan = r->s.streamed ? "streamed" : r->s.plan.name,
        .cmdline = strbuf_view(&r->cmdline),
        .config = strbuf_view(&r->config),
        .model_config = r->model_config,
        .quiet = a->quiet,
    };
    j->measures = (run_setup){.launch_s = launch_s,
                              .planning_s = r->s.plan_seconds,
                              .switch_distance = -1};
    list_decisions(r, &j->measures);
    binding b = binding_of(r->world, r->s.sh.threads);
    j->oversubscribed = binding_is_crowded(&b);
}

/* What a rank writes, says, or does with its own cores is its own business. */
static const char *const own_options[] = {"out", "log-every", "quiet",
                                          "threads", NULL};

static status list_plan(const run_of *r, same_list *l)
{
    strbuf cut = {0};
    if (!r->s.streamed) {
        plan_json(&r->s.plan, &cut);
    }
    same_add(l, "the plan", hash64(strbuf_view(&cut), cut.len),
             r->s.streamed ? "streamed" : r->s.plan.name);
    status st = strbuf_check(&cut);
    strbuf_fini(&cut);
    return st;
}

static status list_run(const run_of *r, same_list *l)
{
    const run_args *a = &r->a;
    char data[64];
    char from[64];
    char sum[HASH_TEXT_BYTES];
    same_add(l, "the model", arch_hash(&r->s.a), r->s.a.name);
    TRY(list_plan(r, l));
    TRY(same_add_options(l, &train_command, a, own_options));
    hash_text(r->data_hash, sum);
    const char *name = text_path_base(a->data);
    (void)snprintf(data, sizeof(data), "%.*s (%s)", text_fit(name, 40), name,
                   sum);
    same_add(l, "the data", r->data_hash, data);
    hash_text(r->from_hash, sum);
    const char *start = a->resume != NULL ? a->resume
                        : a->init != NULL ? a->init
                                          : "none";
    name = text_path_base(start);
    (void)snprintf(from, sizeof(from), "%.*s (%s)", text_fit(name, 40), name,
                   sum);
    same_add(l, "the checkpoint to start from", r->from_hash, from);
    return ST_OK;
}

/* All ranks run one thing, or none does. */
static status agree_on_run(const run_of *r)
{
    same_list l = {0};
    TRY(comm_agree(r->world, list_run(r, &l)));
    return same_check(r->world, &l);
}

static status take_share(run_of *r)
{
    int size = comm_size(r->world);
    REQUIRE(size == setup_ranks(&r->s), ST_CONFIG,
            "%s needs %d rank%s, there %s %d; use mpirun -np %d, or no mpirun "
            "at all",
            r->s.streamed ? "streaming" : r->s.plan.name, setup_ranks(&r->s),
            setup_ranks(&r->s) == 1 ? "" : "s", size == 1 ? "is" : "are", size,
            setup_ranks(&r->s));
    return setup_share(&r->s, comm_rank(r->world));
}

/* Joins the other ranks, or the world of one. */
static status join(run_of *r)
{
    int64_t begin = clock_wall_ns();
    stop_catch();
    if (r->given != NULL) {
        r->world = r->given;
    } else {
        TRY(comm_init(&r->world));
        log_init(comm_rank(r->world), LOG_INFO);
    }
    r->joining_ns = clock_wall_ns() - begin;
    return ST_OK;
}

/* prepared: how this rank's preparation ended. The others must hear of it. */
static status run_ranks(run_of *r, status prepared)
{
    int64_t begin = clock_wall_ns() - r->joining_ns;
    if (r->world == NULL) {
        TRY(join(r));
    }
    TRY(comm_agree(r->world, prepared));
    TRY(agree_on_run(r));
    int64_t from = r->a.launched_at > 0 ? r->a.launched_at : begin;
    double launch_s = (double)(clock_wall_ns() - from) * 1e-9;
    TRY(comm_agree(r->world, take_share(r)));
    TRY(comm_agree(r->world, say_first(r)));
    answer_signals(r);
    status st = setup_store_create(&r->s, &r->so, r->s.sh.threads, &r->store);
    TRY(comm_agree(r->world, st));
    train_job job;
    fill_job(r, launch_s, &job);
    return train_run(&job);
}

/* The config.json of the model as it is run. (Its depth is recorded apart.) */
static status get_config(run_of *r)
{
    char *text = NULL;
    if (r->so.vocab == 0) {
        return arch_config_text(r->so.model, &r->model_config);
    }
    TRY(arch_config_text(r->so.model, &text));
    status st = arch_config_with_vocab(text, r->so.vocab, &r->model_config);
    mem_free(text);
    return st;
}

static status open_machine(run_of *r)
{
    /* A comparison gives it to all of its set-ups. */
    if (r->a.machine == NULL || run_args_unpredicted(&r->a) != NULL) {
        return ST_OK;
    }
    TRY(MEM_NEW(&r->machine, 1, "machine"));
    return machine_open(r->a.machine, r->machine);
}

static status hash_data(const char *path, uint64_t *out)
{
    tokens *data = NULL;
    TRY(tokens_open(path, &data));
    *out = tokens_hash(data);
    tokens_close(data);
    return ST_OK;
}

/* A run that goes on keeps its leaves, unless somebody says others, and is
 * refused. Fast sums have none. */
static status prepare_resume(run_of *r)
{
    arch a;
    const run_args *args = &r->a;
    bool exact = args->sums == 0;
    resume_run now = {.a = &a,
                      .steps = args->steps,
                      .seed = (uint64_t)args->seed,
                      .batch = args->batch,
                      .seq = args->seq,
                      .data = args->data,
                      .data_leaves = exact ? args->data_leaves : 0,
                      .tensor_leaves = exact ? args->tensor_leaves : 0};
    if (args->resume == NULL) {
        return ST_OK;
    }
    TRY(ckpt_peek(args->resume, &r->from));
    TRY(arch_open(r->so.model, &a));
    TRY(arch_fit(&a, r->so.layers, r->so.vocab));
    TRY(hash_data(args->data, &now.data_hash));
    TRY(resume_check(args->resume, &r->from, &now));
    if (exact && r->from.exact_sums) {
        r->so.data_leaves = r->from.data_leaves;
        r->so.tensor_leaves = r->from.tensor_leaves;
        r->so.leaves_of = args->resume;
    }
    return ST_OK;
}

static status prepare(run_of *r)
{
    TRY(prepare_resume(r));
    if (r->so.threads == 0 && r->world != NULL) {
        binding b = binding_of(r->world, 0);
        r->so.threads = binding_share(&b);
    }
    TRY(setup_open(&r->so, job_ranks(r), &r->s));
    int local = job_local_ranks(r);
    TRY(setup_check_host(&r->s, local > 0 ? local : setup_ranks(&r->s)));
    TRY(run_files_check(&r->a, r->so.model));
    TRY(hash_inputs(r));
    if (job_rank(r) == 0) {
        TRY(run_files_claim(&r->a, &r->s.ps, &r->files));
    }
    TRY(open_machine(r));
    TRY(get_config(r));
    json_writer w;
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    opt_write_json(&train_command, &r->a, &w);
    json_write_end(&w);
    r->config = w.out; /* without the end of a line that a file has */
    TRY(strbuf_check(&r->config));
    return strbuf_check(&r->cmdline);
}

/* The same command once more, as ranks of a job. */
static status start_job(run_of *r, int argc, const char *const *argv)
{
    const char *args[160];
    char at[32];
    int n = 0;
    int code = 0;
    REQUIRE(argc < 150, ST_USAGE, "too many options");
    (void)snprintf(at, sizeof(at), "%lld", (long long)clock_wall_ns());
    for (int i = 0; i < argc; i++) {
        args[n++] = argv[i];
    }
    args[n++] = "--launched-at";
    args[n++] = at;
    args[n] = NULL;
    run_files_release(&r->files); /* its rank 0 claims them */
    TRY(launch_run(args, setup_ranks(&r->s), false, &code));
    status st = (status)code;
    if (!status_known(code)) {
        return FAIL(ST_PEER, "mpirun ended with code %d, which no rank gave",
                    code);
    }
    return status_set(st, ""); /* the job has said why */
}

static void finish(run_of *r)
{
    run_files_release(&r->files);
    if (r->store != NULL) {
        r->store->ops->destroy(r->store);
    }
    setup_close(&r->s);
    opt_destroy(r->parsed);
    strbuf_fini(&r->cmdline);
    strbuf_fini(&r->config);
    ckpt_info_fini(&r->from);
    mem_free(r->model_config);
    mem_free(r->machine);
}

static status train(comm *given, int argc, const char *const *argv)
{
    run_of r;
    memset(&r, 0, sizeof(r));
    r.given = given;
    status st = parse(&r, argc, argv);
    bool help_wanted = st == ST_OK && opt_wants_help(r.parsed);
    if (st == ST_OK && !help_wanted) {
        st = launch_check_slurm();
    }
    bool is_rank = !help_wanted && (given != NULL || launch_is_rank());
    status joined = is_rank ? join(&r) : ST_OK; /* threads follow from it */
    if (st == ST_OK && joined == ST_OK && !help_wanted) {
        st = prepare(&r);
    }
    if (help_wanted) {
        (void)command_helped(&train_command, r.parsed);
    } else if (is_rank) {
        st = joined == ST_OK ? run_ranks(&r, st) : joined;
    } else if (st == ST_OK && setup_ranks(&r.s) > 1) {
        st = start_job(&r, argc, argv);
    } else if (st == ST_OK) {
        st = run_ranks(&r, st);
    }
    finish(&r);
    if (given != NULL) {
        log_error_line(st);
    } else if (r.world != NULL) {
        /* While all ranks are there: once one has ended with a code, mpirun
         * ends the others, and may do so before they have said why. */
        log_error_line(st);
        comm_fini(r.world);
        st = st != ST_OK ? status_set(st, "") : st;
    }
    return st;
}

status command_train(int argc, const char *const *argv)
{
    return train(NULL, argc, argv);
}

status train_in(comm *world, int argc, const char *const *argv)
{
    return train(world, argc, argv);
}
