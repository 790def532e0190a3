/* A shard's cards, and what hostile shards give. */
#include "sources/tar.h"

#include "http_server.h"
#include "scratch.h"
#include "tars.h"

#include <sys/eventfd.h>
#include <sys/stat.h>

#define TARS BGDET_SOURCE_DIR "/tests/fixtures/tars/"

/* Every item as "ID=BYTES CARRIED|" (the shard's name left out), or as "ID!CODE|"; then the error behind "!". */
static char *walk(const char *path)
{
    static char all[1 << 20];
    char *out = all;
    struct tar *tar;
    struct bgd_err err = {0};
    struct item item = {0};
    struct remote *remote = NULL;
    *out = 0;
    int code = remote_is(path) ? remote_open(NULL, &remote, &err) : 0;
    cr_assert_eq(code, 0, "%s", err.text);
    code = tar_open(path, remote, NULL, &tar, &err);
    while (!code && (code = tar_next(tar, &item, &err)) > 0) {
        cr_expect(strncmp(item.id, path, strlen(path)) == 0 && item.id[strlen(path)] == '/', "%s", item.id);
        const char *entry = item.id + strlen(path) + 1;
        if (item.code)
            out += sprintf(out, "%s!%s|", entry, bgd_code_name(item.code));
        else
            out += sprintf(out, "%s=%.*s %s|", entry, item.size > 100 ? 3 : (int)item.size, (char *)item.data,
                           item.carried ? item.carried : "");
        free(item.data);
        code = 0;
    }
    if (code < 0)
        sprintf(out, "!%s: %s", bgd_code_name(code), err.text);
    tar_close(tar);
    remote_close(remote);
    return all;
}

static char *walk_bytes(const struct tar_bytes *tar, size_t size)
{
    scratch_write("x.tar", tar->data, size);
    return walk("x.tar");
}

static char *walk_all(const struct tar_bytes *tar)
{
    return walk_bytes(tar, tar->size);
}

static const char cards[] =
    "a/0001.jpg=one {\"json\":{\"nm\":12345678901234567890,\"t\":\"a \\\\\",\"u\":\"b  c\"},\"txt\":\"first line\\nsecond\"}|"
    "a/0002.front.PNG=front {\"cls\":\"7\"}|a/0002.back.png=back {\"cls\":\"7\"}|"
    "a.b/c/0004.webp=www |"
    "кот/longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong/"
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn.gif= |"
    "z/5.bmp=5 |";

Test(tar, reads_what_python_and_gnu_tar_write)
{
    static const char *const names[] = {"python-pax.tar", "python-gnu.tar", "python-ustar.tar", "tar-pax.tar",
                                        "tar-gnu.tar",    "tar-ustar.tar",  "packed.tar.gz",    "packed.tar.zst"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        snprintf(path, sizeof path, TARS "%s", names[i]);
        cr_expect_str_eq(walk(path), cards, "%s: %s", names[i], walk(path));
    }
}

Test(tar, tells_shards_by_their_names)
{
    cr_expect(tar_is("a.tar") && tar_is("x/a.tar.gz") && tar_is("a.tgz") && tar_is("a.tar.zst") && tar_is("s3://b/a.tar"));
    cr_expect(tar_is("https://h/a.tar?X-Amz-Signature=0.jpg"));
    cr_expect(!tar_is("a.tar?b") && !tar_is("a.tar.bz2") && !tar_is(".tar") && !tar_is("tar") && !tar_is("https://h/?a.tar"));
}

Test(tar, holds_a_sample_until_its_name_changes)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    tars_add(&tar, "1.txt", "before"), tars_add(&tar, "1.jpg", "p"), tars_add(&tar, "1.B.JSON", "[1, 2]");
    tars_add(&tar, "10.jpg", "q"), tars_add(&tar, "1.jpg", "again"), tars_add(&tar, "noext", "-"),
        tars_add_typed(&tar, "link.x", "", 0, '2'), tars_add(&tar, "1.cls", "3\r\n");
    tars_add(&tar, "1.CLS", "second of that name"), tars_add(&tar, "x/1.jpg", "r"), tars_add(&tar, "y/1.txt", "elsewhere");
    tars_end(&tar);
    cr_expect_str_eq(walk_all(&tar),
                     "1.jpg=p {\"txt\":\"before\",\"b.json\":[1,2]}|10.jpg=q |1.jpg=again {\"cls\":\"3\"}|x/1.jpg=r |");
    scratch_leave(folder);
}

Test(tar, carries_text_alone)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    char *large = malloc(TAR_FIELD_BYTES + 2);
    memset(large, 'x', TAR_FIELD_BYTES + 1);
    large[TAR_FIELD_BYTES + 1] = 0;
    tars_add(&tar, "1.jpg", "p"), tars_add(&tar, "1.latin", "\xe4"), tars_add_typed(&tar, "1.nul", "a\0b", 3, '0');
    tars_add(&tar, "1.large", large), tars_add(&tar, "1.json", "{\"a\": 01}"), tars_add(&tar, "1.\xff", "name"),
        tars_add(&tar, "1.e", "");
    tars_end(&tar);
    cr_expect_str_eq(walk_all(&tar), "1.jpg=p {\"json\":\"{\\\"a\\\": 01}\",\"e\":\"\"}|");
    tar.size = 0; /* and the largest that is carried */
    tars_add(&tar, "1.jpg", "p"), tars_add(&tar, "1.large", large + 1), tars_end(&tar);
    cr_expect_eq(strlen(walk_all(&tar)), strlen("1.jpg=p {\"large\":\"\"}|") + TAR_FIELD_BYTES);
    free(large);
    scratch_leave(folder);
}

Test(tar, gives_a_sample_without_end_in_parts)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    for (int i = 0; i < 200; i++)
        tars_add(&tar, "1.jpg", "p");
    tars_end(&tar);
    char *all = walk_all(&tar);
    size_t n = 0;
    for (const char *s = all; (s = strstr(s, "1.jpg=p |")); s++)
        n++;
    cr_expect_eq(n, 200);
    scratch_leave(folder);
}

Test(tar, takes_names_for_names_and_links_for_nothing)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    tars_add(&tar, "../../up.jpg", "1"), tars_add(&tar, "/etc/abs.jpg", "2"), tars_add(&tar, "./new\nline.jpg", "3");
    tars_add(&tar, "latin\xe4.jpg", "4");
    for (const char *type = "123456"; *type; type++)
        tars_add_typed(&tar, "link.jpg", "", 0, *type);
    tars_add_typed(&tar, "pax", "13 comment=x\n", 13, 'x'), tars_add_typed(&tar, "link.jpg", "pax allows data", 15, '1');
    tars_add(&tar, "last.jpg", ""), tars_end(&tar);
    cr_expect_str_eq(walk_all(&tar), "../../up.jpg=1 |/etc/abs.jpg=2 |./new\nline.jpg=3 |latin\xe4.jpg=4 |last.jpg= |");
    cr_expect(access("../../up.jpg", F_OK) != 0 && access("link.jpg", F_OK) != 0);
    scratch_leave(folder);
}

Test(tar, reads_tars_behind_each_other)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    tars_end(&tar), tars_add(&tar, "1.jpg", "p"), tars_end(&tar), tars_end(&tar), tars_add(&tar, "2.jpg", "q"), tars_end(&tar);
    cr_expect_str_eq(walk_all(&tar), "1.jpg=p |2.jpg=q |");
    scratch_leave(folder);
}

/* Cut at each byte: what was whole is there, and a cut tar is never taken for a whole one. */
Test(tar, loses_no_whole_card_of_one_that_is_cut)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    size_t whole[3], end;
    tars_add(&tar, "1.jpg", "p"), whole[0] = 512 + 1;
    tars_add_typed(&tar, "folder", "", 0, '5');
    whole[1] = tar.size + 512 + 600;
    tars_add(&tar, "2.jpg",
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789");
    tars_add_typed(&tar, "pax", "23 path=from-pax/3.jpg\n", 23, 'x');
    whole[2] = tar.size + 512 + 1;
    tars_add(&tar, "3.jpg", "r"), end = tar.size, tars_end(&tar);
    for (size_t cut = 0; cut < tar.size; cut++) {
        char *all = walk_bytes(&tar, cut);
        char after[64];
        int n = (cut >= whole[0]) + (cut >= whole[1]) + (cut >= whole[2]);
        snprintf(after, sizeof after, "after %d cards", n);
        cr_expect_eq(!!strstr(all, "1.jpg=p |"), n > 0, "%zu: %s", cut, all);
        cr_expect_eq(!!strstr(all, "2.jpg="), n > 1, "%zu: %s", cut, all);
        cr_expect_eq(!!strstr(all, "from-pax/3.jpg=r |"), n > 2, "%zu: %s", cut, all);
        if (cut == end + 512) /* one block of the mark will do */
            cr_expect_null(strchr(all, '!'), "%s", all);
        else
            cr_expect(strstr(all, "!damaged: ") && strstr(all, after), "%zu: %s", cut, all);
    }
    scratch_leave(folder);
}

Test(tar, says_what_is_wrong_with_a_damaged_one)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    tars_add(&tar, "1.jpg", "p"), tars_add(&tar, "2.jpg", "q"), tars_add(&tar, "3.jpg", "r"), tars_end(&tar);
    tar.data[1024 + 148] ^= 1; /* the checksum of the second */
    cr_expect(strncmp(walk_all(&tar), "1.jpg=p |!damaged: Damaged tar archive", 37) == 0, "%s", walk_all(&tar));
    static const char *const sizes[] = {"77777777777", "-0000000001", "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        tar.size = 0;
        tars_add(&tar, "1.jpg", "p"), tars_header(&tar, "2.jpg", sizes[i], '0'), tars_end(&tar);
        char *all = walk_all(&tar);
        cr_expect(strncmp(all, "1.jpg=p |", 9) == 0 && strstr(all, "!damaged: ") && !strstr(all, "2.jpg=\n"), "%zu: %s", i,
                  all);
    }
    scratch_text("x.tar", "no tar at all, but long enough to be asked whether it is one");
    cr_expect(strncmp(walk("x.tar"), "!damaged: Unrecognized archive format, after 0 cards", 52) == 0, "%s", walk("x.tar"));
    scratch_text("x.tar", "");
    cr_expect(strncmp(walk("x.tar"), "!damaged: ", 10) == 0, "%s", walk("x.tar"));
    cr_expect(strncmp(walk("gone.tar"), "!missing: ", 10) == 0, "%s", walk("gone.tar"));
    mkdir("folder.tar", 0777);
    cr_expect(strncmp(walk("folder.tar"), "!unreadable: ", 13) == 0, "%s", walk("folder.tar"));
    scratch_leave(folder);
}

Test(tar, survives_special_headers_that_lie)
{
    char *folder = scratch_enter();
    static const char *const records[] = {"",
                                          "9",
                                          "99999999999999999999 path=x\n",
                                          "0 path=x\n",
                                          "-1 path=x\n",
                                          "12 path=x.jpg",
                                          "18 size=99999999999\n",
                                          "30 GNU.sparse.map=0,99999999\n",
                                          "21 GNU.sparse.major=1\n"};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        for (const char *type = "xgLKSMVDN"; *type; type++) {
            static struct tar_bytes tar;
            tar.size = 0;
            tars_add(&tar, "1.jpg", "p"), tars_add_typed(&tar, "special", records[i], strlen(records[i]), *type);
            tars_header(&tar, "huge", "77777777777", *type), tars_end(&tar);
            cr_expect(strncmp(walk_all(&tar), "1.jpg=p |", 9) == 0, "%zu %c: %s", i, *type, walk_all(&tar));
        }
    scratch_leave(folder);
}

/* A picture above the limit is an item that says so, and what follows is there: /dev/zero's bytes, packed. */
Test(tar, bounds_pictures_and_what_a_bomb_may_cost)
{
    char *folder = scratch_enter();
    static struct tar_bytes tar;
    tars_header(&tar, "1.jpg", "00120000001", '0'); /* 20 MiB and a byte */
    scratch_write("head", tar.data, tar.size);
    tar.size = 0;
    tars_add(&tar, "2.jpg", "q"), tars_end(&tar);
    scratch_write("tail", tar.data, tar.size);
    cr_assert_eq(system("(cat head; head -c 20972032 /dev/zero; cat tail) | gzip -1 >x.tgz"), 0);
    cr_expect_str_eq(walk("x.tgz"), "1.jpg!limit|2.jpg=q |");
    tar.size = 0;
    tars_add(&tar, "0.jpg", "p"), tars_header(&tar, "bomb.bin", "12000000000", '0'); /* 1.25 GiB */
    scratch_write("head", tar.data, tar.size);
    cr_assert_eq(system("(cat head; head -c 1342177280 /dev/zero; cat tail) | zstd -1 -q >x.tar.zst"), 0);
    cr_expect_str_eq(walk("x.tar.zst"), "0.jpg=p |!limit: expands to more than 1000 times its size, after 1 cards");
    scratch_leave(folder);
}

#define PIECE 8000 /* an answer breaks off after so many bytes */

static struct http_server server;
static char *objects[2], *object; /* they stay: the server may still be sending when the reader has left */
static size_t object_size;

/* Serves `object` from where it is asked for, a piece at a time. */
static bool answer_pieces(int socket, const struct http_request *request)
{
    size_t from = 0;
    sscanf(http_header(request, "Range"), "bytes=%zu-", &from);
    size_t left = object_size - from, sent = left < PIECE ? left : PIECE;
    if (from > 0)
        http_send(socket, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %zu-%zu/%zu\r\n", from, object_size - 1,
                  object_size);
    else
        http_send(socket, "HTTP/1.1 200 OK\r\n");
    http_send(socket, "ETag: \"1\"\r\nContent-Length: %zu\r\n\r\n", left);
    return http_send_bytes(socket, object + from, sent) && sent == left;
}

Test(tar, an_object_that_breaks_off_again_and_again_gives_what_the_file_gives)
{
    static const char *const files[] = {TARS "python-pax.tar", TARS "packed.tar.gz"};
    alarm(60);
    unsetenv("http_proxy");
    http_server_start(&server, answer_pieces);
    for (size_t i = 0; i < 2; i++) {
        char name[200];
        object = objects[i] = scratch_read(files[i], &object_size);
        snprintf(name, sizeof name, "http://127.0.0.1:%d/%s", server.port, strrchr(files[i], '/') + 1);
        int before = server.requests;
        char *of_file = strdup(walk(files[i]));
        cr_expect_str_eq(walk(name), of_file, "%s", name);
        cr_expect_eq((size_t)(server.requests - before), (object_size + PIECE - 1) / PIECE, "%s", name);
        free(of_file);
    }
}

Test(tar, ends_when_it_is_to_stop)
{
    int stop = eventfd(1, 0); /* readable from the start */
    struct tar *tar;
    struct bgd_err err;
    struct item item = {0};
    cr_assert_eq(tar_open(TARS "packed.tar.gz", NULL, &stop, &tar, &err), 0);
    cr_expect_eq(tar_next(tar, &item, &err), BGD_NETWORK);
    cr_expect_eq(tar_next(tar, &item, &err), BGD_NETWORK);
    tar_close(tar);
}
