/* The sum tree, against a recursive definition written independently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "runtime/base/tree.h"

/* All nodes by the definition, into node[lo][hi]. */
static void mark(bool node[65][65], int lo, int hi)
{
    node[lo][hi] = true;
    if (hi - lo < 2) {
        return;
    }
    int part = 1;
    while (part * 2 < hi - lo) {
        part *= 2;
    }
    mark(node, lo, lo + part);
    mark(node, lo + part, hi);
}

static void test_nodes(void **state)
{
    (void)state;
    for (int n = 1; n <= TREE_LEAVES_MAX; n++) {
        bool node[65][65] = {{false}};
        mark(node, 0, n);
        for (int lo = -1; lo <= n + 1; lo++) {
            for (int hi = -1; hi <= n + 1; hi++) {
                bool in = lo >= 0 && hi >= 0 && hi <= n && lo <= n;
                bool want = in && node[lo][hi];
                assert_int_equal(tree_is_node(n, (tree_span){lo, hi}), want);
            }
        }
    }
}

static void test_six(void **state)
{
    (void)state;
    assert_true(tree_can_join(6, (tree_span){0, 4}, (tree_span){4, 6}));
    assert_true(tree_can_join(6, (tree_span){4, 5}, (tree_span){5, 6}));
    assert_false(tree_can_join(6, (tree_span){1, 2}, (tree_span){2, 3}));
    assert_false(tree_can_join(6, (tree_span){0, 2}, (tree_span){4, 6}));
    assert_false(tree_can_join(6, (tree_span){4, 6}, (tree_span){0, 4}));
    /* [0,3) is a node of no tree over 6, and of one over 3 it is the root. */
    assert_false(tree_can_join(6, (tree_span){0, 2}, (tree_span){2, 3}));
    assert_true(tree_can_join(3, (tree_span){0, 2}, (tree_span){2, 3}));
    tree_span out[TREE_DEPTH_MAX * 2];
    assert_int_equal(tree_pieces(6, 1, 5, out), 3);
    assert_int_equal(out[0].lo, 1);
    assert_int_equal(out[0].hi, 2);
    assert_int_equal(out[1].lo, 2);
    assert_int_equal(out[1].hi, 4);
    assert_int_equal(out[2].lo, 4);
    assert_int_equal(out[2].hi, 5);
    assert_int_equal(tree_pieces(6, 0, 6, out), 1);
    assert_int_equal(tree_pieces(6, 3, 3, out), 0);
}

/* Pieces cover the range, are nodes, and no two neighbours could join. */
static void test_pieces(void **state)
{
    (void)state;
    for (int n = 1; n <= TREE_LEAVES_MAX; n++) {
        for (int lo = 0; lo <= n; lo++) {
            for (int hi = lo; hi <= n; hi++) {
                tree_span out[TREE_DEPTH_MAX * 2];
                int m = tree_pieces(n, lo, hi, out);
                int at = lo;
                for (int i = 0; i < m; i++) {
                    assert_int_equal(out[i].lo, at);
                    assert_true(tree_is_node(n, out[i]));
                    assert_false(i > 0 && tree_can_join(n, out[i - 1], out[i]));
                    at = out[i].hi;
                }
                assert_int_equal(at, hi);
            }
        }
    }
}

/* Pushing leaves and joining ends with the root and never exceeds depth. */
static void test_depth(void **state)
{
    (void)state;
    assert_int_equal(tree_depth(1), 1);
    assert_int_equal(tree_depth(2), 2);
    assert_int_equal(tree_depth(4), 3);
    assert_int_equal(tree_depth(64), 7);
    for (int n = 1; n <= TREE_LEAVES_MAX; n++) {
        tree_span stack[TREE_LEAVES_MAX];
        int used = 0;
        int most = 0;
        for (int i = 0; i < n; i++) {
            stack[used++] = (tree_span){i, i + 1};
            most = used > most ? used : most;
            while (used > 1 &&
                   tree_can_join(n, stack[used - 2], stack[used - 1])) {
                stack[used - 2].hi = stack[used - 1].hi;
                used--;
            }
        }
        assert_int_equal(used, 1);
        assert_int_equal(stack[0].hi, n);
        assert_int_equal(most, tree_depth(n));
        assert_true(most <= TREE_DEPTH_MAX);
    }
}

static void test_shares(void **state)
{
    (void)state;
    /* 10 sequences over 4 leaves: 0-2, 2-5, 5-7, 7-10. */
    assert_int_equal(leaf_start(10, 4, 0), 0);
    assert_int_equal(leaf_start(10, 4, 1), 2);
    assert_int_equal(leaf_start(10, 4, 2), 5);
    assert_int_equal(leaf_start(10, 4, 4), 10);
    assert_int_equal(leaf_of_rank(4, 3, 1), 1);
    assert_int_equal(leaf_of_rank(4, 3, 2), 2);
    assert_int_equal(leaf_of_rank(4, 3, 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),  cmocka_unit_test(test_six),
        cmocka_unit_test(test_pieces), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
