/* The pickle machine: it builds tensors, dicts, lists and scalars, and refuses by name whatever asks for more. */
#include "pickles.h"

Test(pickle, builds_a_tensor)
{
    static const char bytes[] = P TENSOR ".";
    struct pickle *p = LOADED(bytes);
    cr_assert_eq(p->root.kind, PICKLE_TENSOR);
    const struct pickle_tensor *t = &p->tensors[p->root.index];
    cr_expect(t->view.dtype == CHECKPOINT_F32 && t->view.ndim == 2 && t->view.numel == 6 && t->offset == 0);
    cr_expect(t->view.dims[0] == 2 && t->view.dims[1] == 3 && t->view.strides[0] == 3 && t->view.strides[1] == 1);
    cr_assert_eq(p->n_storages, 1);
    cr_expect(p->storages[t->storage].numel == 6 && p->storages[t->storage].data == NULL);
    pickle_free(p);
    pickle_free(NULL);
}

Test(pickle, reads_scalars_exactly)
{
    static const char bytes[] = P "(NIgnored"
                                  "."; /* INT is a text opcode */
    REFUSED(bytes, "opcode INT (0x49) at byte 4");
    static const char scalars[] = P "(N" TRUE FALSE "K\377M\377\377J\377\377\377\377" LONG1 "\0" LONG1 "\1\200" LONG1
                                    "\10\377\377\377\377\377\377\377\177" LONG1 "\10\0\0\0\0\0\0\0\200"
                                    "G\277\360\0\0\0\0\0\0" T("\2", "\xd0\xb2") "U\3abcT\1\0\0\0d]}" ORDERED_DICT ")Rt.";
    struct pickle *p = LOADED(scalars);
    const struct pickle_object *tuple = pickle_object(p, p->root);
    cr_assert(tuple && tuple->count == 17, "%u", tuple->count);
    const struct pickle_value *v = tuple->items;
    cr_expect(v[0].kind == PICKLE_NONE && v[1].kind == PICKLE_BOOL && v[1].integer == 1 && v[2].integer == 0);
    static const int64_t integers[] = {255, 65535, -1, 0, -128, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 7; i++)
        cr_expect(v[3 + i].kind == PICKLE_INT && v[3 + i].integer == integers[i], "integer %d", i);
    cr_expect(v[10].kind == PICKLE_FLOAT && v[10].real == -1.0);
    cr_expect(pickle_is_text(v[11], "в") && pickle_is_text(v[12], "abc") && pickle_is_text(v[13], "d"));
    cr_expect(v[14].kind == PICKLE_LIST && v[15].kind == PICKLE_DICT && v[16].kind == PICKLE_ORDERED_DICT);
    pickle_free(p);
}

/* The trap of readers whose memo keeps copies: a dict that is filled after it was kept would read back empty. */
Test(pickle, the_memo_shares_what_it_keeps)
{
    static const char bytes[] = P "(}q\0" T("\1", "a") "K\7sh\0t.";
    struct pickle *p = LOADED(bytes);
    const struct pickle_object *pair = pickle_object(p, p->root);
    cr_assert(pair->count == 2);
    cr_expect_eq(pair->items[0].index, pair->items[1].index);
    cr_expect_eq(pickle_object(p, pair->items[1])->count, 2);
    pickle_free(p);
    static const char far[] = P "K\7r\x9f\x86\1\0"
                                "0"; /* slot 99,999 is the last */
    REFUSED(far, "opcode POP (0x30) at byte 9");
    static const char too_far[] = P "K\7r\xa0\x86\1\0.";
    REFUSED(too_far, "memo slot 100000");
    static const char last[] = P "K\7r\377\377\377\377.";
    REFUSED(last, "memo slot 4294967295");
    static const char unset[] = P "h\5.", unset_far[] = P "K\1q\0j\377\377\377\377.", between[] = P "K\1q\3h\2.";
    REFUSED(unset, "opcode BINGET (0x68) at byte 2: memo slot 5 was never set");
    REFUSED(unset_far, "memo slot 4294967295 was never set");
    REFUSED(between, "memo slot 2 was never set");
    static const char nothing[] = P "q\0.";
    REFUSED(nothing, "the stack holds nothing");
}

Test(pickle, refuses_every_other_opcode_by_name)
{
    static const char allowed[] = "(.JKMNQRTUX]abcehjqrstu})G\201\205\206\207\210\211\212";
    static const struct {
        int op;
        const char *name;
    } named[] = {{'0', "POP"},
                 {'1', "POP_MARK"},
                 {'2', "DUP"},
                 {'F', "FLOAT"},
                 {'I', "INT"},
                 {'L', "LONG"},
                 {'P', "PERSID"},
                 {'S', "STRING"},
                 {'V', "UNICODE"},
                 {'d', "DICT"},
                 {'g', "GET"},
                 {'i', "INST"},
                 {'l', "LIST"},
                 {'o', "OBJ"},
                 {'p', "PUT"},
                 {'B', "BINBYTES"},
                 {'C', "SHORT_BINBYTES"},
                 {0x80, "PROTO"},
                 {0x82, "EXT1"},
                 {0x83, "EXT2"},
                 {0x84, "EXT4"},
                 {0x8b, "LONG4"},
                 {0x8c, "SHORT_BINUNICODE"},
                 {0x8d, "BINUNICODE8"},
                 {0x8e, "BINBYTES8"},
                 {0x8f, "EMPTY_SET"},
                 {0x90, "ADDITEMS"},
                 {0x91, "FROZENSET"},
                 {0x92, "NEWOBJ_EX"},
                 {0x93, "STACK_GLOBAL"},
                 {0x94, "MEMOIZE"},
                 {0x95, "FRAME"},
                 {0x96, "BYTEARRAY8"},
                 {0x97, "NEXT_BUFFER"},
                 {0x98, "READONLY_BUFFER"},
                 {0, "unknown"},
                 {0xff, "unknown"}};
    int refusals = 0;
    for (int op = 0; op < 256; op++) {
        if (memchr(allowed, op, sizeof allowed - 1))
            continue;
        char bytes[] = P "()?\0\0\0\0\0\0\0\0\n\n.";
        bytes[4] = (char)op;
        refused(bytes, sizeof bytes - 1, "an opcode that no state_dict needs", __LINE__);
        refusals++;
    }
    cr_expect_eq(refusals, 256 - 33);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        char bytes[] = P "()?\0\0\0\0\0\0\0\0\n\n.", words[64];
        bytes[4] = (char)named[i].op;
        snprintf(words, sizeof words, "opcode %s (0x%02x) at byte 4: ", named[i].name, (unsigned)named[i].op);
        refused(bytes, sizeof bytes - 1, words, __LINE__);
    }
}

Test(pickle, refuses_unknown_callable)
{
    static const char system[] = P "cos\nsystem\n" T("\4", "echo") TUPLE1 "R.";
    REFUSED(system, "opcode GLOBAL (0x63) at byte 2: os.system is not a callable");
    static const char eval[] = P "c__builtin__\neval\n" T("\1", "1") TUPLE1 "R.";
    REFUSED(eval, "__builtin__.eval");
    static const char hub[] = P "ctorch.hub\nload\n)R.", load_[] = P "ctorch\nload\n)R.";
    REFUSED(hub, "torch.hub.load");
    REFUSED(load_, "torch.load");
    static const char quantised[] = P "ctorch._utils\n_rebuild_qtensor\n)R.",
                      sparse[] = P "ctorch._utils\n_rebuild_sparse_tensor\n)R.";
    REFUSED(quantised, "_rebuild_qtensor");
    REFUSED(sparse, "_rebuild_sparse_tensor");
    static const char meta[] = P "ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R.";
    REFUSED(meta, "_rebuild_meta_tensor_no_storage");
    static const char wrapper[] = P "ctorch._utils\n_rebuild_wrapper_subclass\n)R.",
                      numpy[] = P "cnumpy.core.multiarray\nscalar\n)R.";
    REFUSED(wrapper, "_rebuild_wrapper_subclass");
    REFUSED(numpy, "numpy.core.multiarray.scalar");
    static const char complex_[] = P "ctorch\nComplexFloatStorage\n.", untyped[] = P "ctorch.storage\nUntypedStorage\n.";
    REFUSED(complex_, "torch.ComplexFloatStorage");
    REFUSED(untyped, "torch.storage.UntypedStorage");
    static const char dotted[] = P "ccollections.OrderedDict\n\n)R.", lookalike[] = P "ccollections\nOrderedDict2\n)R.",
                      nul[] = P "ccollections\nOrderedDict\0\n)R.";
    REFUSED(dotted, "not a callable");
    REFUSED(lookalike, "OrderedDict2");
    REFUSED(nul, "not a callable");
    static const char unused[] = P "cos\nsystem\nN.";
    REFUSED(unused, "os.system"); /* also when nothing would call it */
}

Test(pickle, refuses_global_without_its_lines)
{
    static const char none[] = P "c", one[] = P "ccollections\n", no_end[] = P "ccollections\nOrderedDict";
    REFUSED(none, "no end of line");
    REFUSED(one, "no end of line");
    REFUSED(no_end, "no end of line");
    size_t size = 1 << 20;
    char *long_name = malloc(size);
    memset(long_name, 'a', size);
    memcpy(long_name, P "c", 3);
    long_name[size - 1] = '\n';
    refused(long_name, size, "no end of line within", __LINE__);
    free(long_name);
}

Test(pickle, calls_nothing_but_callables)
{
    static const char tuple[] = P "))R.", text[] = P T("\1", "a") ")R.", dict[] = P "})R.", tensor[] = P TENSOR ")R.";
    REFUSED(tuple, "opcode REDUCE (0x52) at byte 4: a tuple is called with a tuple");
    REFUSED(text, "a text is called");
    REFUSED(dict, "a dict is called");
    REFUSED(tensor, "a tensor is called");
    static const char no_tuple[] = P ORDERED_DICT "]R.", storage_type[] = P FLOATS ")R.";
    REFUSED(no_tuple, "a callable is called with a list");
    REFUSED(storage_type, "torch.FloatStorage is called");
    static const char two[] = P ORDERED_DICT "]]" TUPLE2 "R.", of_text[] = P ORDERED_DICT T("\1", "a") TUPLE1 "R.";
    REFUSED(two, "an OrderedDict from 2 arguments");
    REFUSED(of_text, "an OrderedDict from 1 arguments");
    static const char pairs[] = P ORDERED_DICT "](](K\1K\2e"
                                               "](K\3K\4ee" TUPLE1 "R.";
    struct pickle *p = LOADED(pairs);
    cr_expect(p->root.kind == PICKLE_ORDERED_DICT && pickle_object(p, p->root)->count == 4);
    pickle_free(p);
    static const char no_pairs[] = P ORDERED_DICT "](K\1e" TUPLE1 "R.",
                      triple[] = P ORDERED_DICT "](K\1K\2K\3" TUPLE3 "e" TUPLE1 "R.",
                      dict_pair[] = P ORDERED_DICT "](}K\1K\2se" TUPLE1 "R.";
    REFUSED(no_pairs, "expected pairs");
    REFUSED(triple, "expected pairs");
    REFUSED(dict_pair, "expected pairs");
}

Test(pickle, puts_items_only_where_they_belong)
{
    static const char tensor[] = P TENSOR "K\1K\2s.", tuple[] = P ")K\1K\2s.", list[] = P "]K\1K\2s.", many[] = P "](K\1K\2u.";
    REFUSED(tensor, "opcode SETITEM (0x73) at byte 133: it sets items of a tensor");
    REFUSED(tuple, "it sets items of a tuple");
    REFUSED(list, "it sets items of a list");
    REFUSED(many, "opcode SETITEMS");
    static const char append_dict[] = P "}K\1a.", appends_tuple[] = P ")(K\1e.";
    REFUSED(append_dict, "it appends to a dict");
    REFUSED(appends_tuple, "it appends to a tuple");
    static const char odd[] = P "}(K\1u.", key[] = P "}" TENSOR "K\1s.", tuple_key[] = P "})K\1s.", none_key[] = P "}NK\1s.";
    REFUSED(odd, "1 values, expected pairs");
    REFUSED(key, "a tensor as the key of a dict");
    REFUSED(tuple_key, "a tuple as the key of a dict");
    REFUSED(none_key, "None as the key of a dict");
}

Test(pickle, refuses_underflow)
{
    static const char *const ops[] = {"a", "b", "R", "s", "Q", TUPLE1, TUPLE2, TUPLE3, NEWOBJ, "e", "u", "t"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        char bytes[16] = P;
        memcpy(bytes + 2, ops[i], 1);
        bytes[3] = '.';
        refused(bytes, 4, "the stack holds no", __LINE__);
        memcpy(bytes + 2, "(", 1); /* a mark is nothing that can be taken */
        memcpy(bytes + 3, ops[i], 1);
        bytes[4] = '.';
        if (!strchr("eut", ops[i][0]))
            refused(bytes, 5, "the stack holds nothing", __LINE__);
    }
    static const char stop[] = P ".", two[] = P "NN.", mark[] = P "(.", unclosed[] = P "N(.";
    REFUSED(stop, "opcode STOP (0x2e) at byte 2: 0 values on the stack");
    REFUSED(two, "2 values on the stack");
    REFUSED(mark, "1 values on the stack");
    REFUSED(unclosed, "2 values on the stack");
}

Test(pickle, nothing_can_contain_itself)
{
    static const char list[] = P "]q\0h\0a.", dict[] = P "}q\0K\1h\0s.", tuple[] = P "]q\0h\0" TUPLE1 "a.";
    REFUSED(list, "it might contain itself");
    REFUSED(dict, "it might contain itself");
    REFUSED(tuple, "it might contain itself");
    static const char one_way[] = P "]q\0]q\1h\0at.", both_ways[] = P "]q\0]q\1h\0ah\0h\1a.";
    REFUSED(one_way, "opcode TUPLE (0x74)"); /* allowed up to there: the second holds the first */
    REFUSED(both_ways, "it might contain itself");
    static const char pair[] = P ORDERED_DICT "]q\0(]q\1(K\1h\0ee" TUPLE1 "R.";
    REFUSED(pair, "it might contain itself");
}

/* Thirty lists of ten times the list before: 10^30 items if anything were copied or walked. */
Test(pickle, shared_lists_do_not_multiply)
{
    char bytes[2048] = P "]q\0";
    size_t size = 5;
    for (int i = 1; i <= 30; i++) {
        bytes[size++] = '(';
        for (int k = 0; k < 10; k++) {
            bytes[size++] = 'h';
            bytes[size++] = (char)(i - 1);
        }
        bytes[size++] = 't';
        bytes[size++] = 'q';
        bytes[size++] = (char)i;
    }
    bytes[size++] = 't';
    memmove(bytes + 3, bytes + 2, size - 2); /* a mark in front gathers all that was left on the stack */
    bytes[2] = '(';
    size++;
    bytes[size++] = '.';
    struct pickle *p = loaded(bytes, size, 5, __LINE__);
    cr_expect_leq(p->n_objects, 40);
    pickle_free(p);
}

Test(pickle, refuses_what_is_cut_or_of_another_protocol)
{
    static const char good[] = P "}(" T("\1", "a") TENSOR T("\1", "b") LONG1 "\2\1\2" T("\1", "c") "G\0\0\0\0\0\0\0\0u.";
    READ(good);
    for (size_t cut = 0; cut < sizeof good - 1; cut++)
        refused(good, cut, "", __LINE__);
    static const char *const starts[] = {"N.", ".", "\200\0N.", "\200\1N.", "\200\3N.", "\200\4N.", "\200\5N.", "\200\377N."};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        refused(starts[i], i == 2 ? 4 : strlen(starts[i]), i < 2 ? "no pickle at byte 0" : "expected 2", __LINE__);
    static const char again[] = P P "N.";
    REFUSED(again, "opcode PROTO (0x80) at byte 2");
}

/* There is no checksum, so a flip may well give another pickle, but never a read outside or a view outside. */
Test(pickle, every_flip_is_safe)
{
    static const char good[] = P "}q\0(" T("\1", "a") TENSOR "q\1" T("\1", "b") "h\1" T("\1", "c") "](K\1M\1\1J\1\1\1\1eu.";
    READ(good);
    size_t read = 0;
    for (size_t i = 0; i < 8 * (sizeof good - 1); i++) {
        uint8_t *copy = copy_of(good, sizeof good - 1);
        copy[i / 8] ^= (uint8_t)(1u << i % 8);
        struct pickle *p;
        struct bgd_err err;
        if (load(copy, sizeof good - 1, 5, &p, &err) == 0)
            read++;
        for (uint32_t t = 0; p && t < p->n_tensors; t++) {
            const struct pickle_storage *storage = &p->storages[p->tensors[t].storage];
            cr_expect_eq(checkpoint_check_view(&p->tensors[t].view, p->tensors[t].offset, storage->numel, &err), 0);
        }
        pickle_free(p);
        free(copy);
    }
    cr_expect_gt(read, 0);
}

Test(pickle, leaves_the_cursor_behind_stop)
{
    struct bytes in = bytes_of("....\200\2N.\200\2K\5.", 13);
    struct pickle *p;
    struct bgd_err err;
    cr_assert(bytes_seek(&in, 4));
    cr_expect_eq(pickle_load(&in, 0, &p, &err), 0);
    cr_expect(p && p->root.kind == PICKLE_NONE && in.pos == 8);
    pickle_free(p);
    cr_expect_eq(pickle_load(&in, 0, &p, &err), 0);
    cr_expect(p && p->root.integer == 5 && in.pos == 13);
    pickle_free(p);
    cr_expect_lt(pickle_load(&in, 0, &p, &err), 0);
    cr_expect_null(p);
}

Test(pickle, refuses_texts_that_are_none)
{
    static const char huge[] = P "X\377\377\377\377abc.", past[] = P "X\4\0\0\0abc", latin[] = P T("\1", "\377") ".";
    REFUSED(huge, "a text of 4294967295 bytes");
    REFUSED(past, "cut short");
    REFUSED(latin, "not UTF-8");
    static const char surrogate[] = P T("\3", "\xed\xa0\x80") ".", negative[] = P "T\377\377\377\377abc.",
                      short_[] = P "U\4abc";
    REFUSED(surrogate, "not UTF-8");
    REFUSED(negative, "a text of 4294967295 bytes");
    REFUSED(short_, "cut short");
    static const char long1[] = P LONG1 "\377"
                                        "\0.",
                      nine[] = P LONG1 "\11\0\0\0\0\0\0\0\0\1.", cut[] = P LONG1 "\4\1\1";
    REFUSED(long1, "an integer of 255 bytes");
    REFUSED(nine, "an integer of 9 bytes");
    REFUSED(cut, "cut short");
}

/* ------------------------------------------------------------ BUILD and NEWOBJ */

Test(pickle, build_takes_only_attributes_that_do_not_matter)
{
    static const char metadata[] = P HOOKS "}" T("\11", "_metadata") HOOKS "sb.";
    struct pickle *p = LOADED(metadata);
    cr_expect(p->root.kind == PICKLE_ORDERED_DICT && pickle_object(p, p->root)->count == 0);
    pickle_free(p);
    static const char dict[] = P "}}b.", list[] = P "]}b.", tensor[] = P TENSOR "}b.", set[] = P TENSOR "(K\0K\0))tb.",
                      callable[] = P ORDERED_DICT "}b.", state[] = P HOOKS ")b.";
    REFUSED(dict, "opcode BUILD (0x62) at byte 4: a dict gets a dict as its state");
    REFUSED(list, "a list gets");
    REFUSED(tensor, "a tensor gets");
    REFUSED(set, "a tensor gets a tuple");
    REFUSED(callable, "a callable gets");
    REFUSED(state, "an OrderedDict gets a tuple");
}

Test(pickle, an_old_parameter_is_its_tensor)
{
    static const char old[] = P PARAMETER TENSOR TRUE TUPLE2 NEWOBJ TRUE FALSE HOOKS TUPLE3 "b.",
                      none[] = P PARAMETER TENSOR TRUE TUPLE2 NEWOBJ TRUE FALSE "N" TUPLE3 "b.",
                      called[] = P PARAMETER TENSOR TRUE TUPLE2 "R.",
                      rebuilt[] = P REBUILD_PARAMETER TENSOR TRUE HOOKS TUPLE3 "R.";
    READ(old);
    READ(none);
    READ(called);
    struct pickle *p = LOADED(rebuilt);
    cr_expect(p->root.kind == PICKLE_PARAMETER && pickle_is_tensor(p->root) && p->n_tensors == 1);
    pickle_free(p);
    static const char dict[] = P ORDERED_DICT ")" NEWOBJ ".", value[] = P "K\1)" NEWOBJ ".",
                      of_dict[] = P PARAMETER "}" TRUE TUPLE2 NEWOBJ ".", one[] = P PARAMETER TENSOR TUPLE1 NEWOBJ ".",
                      grad[] = P PARAMETER TENSOR "K\1" TUPLE2 NEWOBJ ".",
                      twice[] = P REBUILD_PARAMETER REBUILD_PARAMETER TENSOR TRUE HOOKS TUPLE3 "R" TRUE HOOKS TUPLE3 "R.",
                      hooks[] = P REBUILD_PARAMETER TENSOR TRUE HOOKS "K\1K\2s" TUPLE3 "R.",
                      state[] = P PARAMETER TENSOR TRUE TUPLE2 NEWOBJ TRUE FALSE HOOKS "K\1K\2s" TUPLE3 "b.";
    REFUSED(dict, "an instance of collections.OrderedDict");
    REFUSED(value, "an instance of ?.an integer");
    REFUSED(of_dict, "a Parameter from a dict");
    REFUSED(one, "a Parameter from 1 arguments");
    REFUSED(grad, "a Parameter from a tensor and an integer");
    REFUSED(twice, "a Parameter from a Parameter");
    REFUSED(hooks, "hooks");
    REFUSED(state, "a Parameter gets a tuple");
}
