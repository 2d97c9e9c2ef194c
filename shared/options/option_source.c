#include "shared/options/option_source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "shared/base/secret.h"
#include "shared/base/slice.h"

#define FILE_MAX_BYTES (1 << 20)
#define TEXT_MAX_BYTES (4 << 20)
#define MAX_DEPTH 10

/* Where a line of the expanded text came from. */
struct source_line {
    unsigned file;
    unsigned line;
};

/* A file that is being read; an include puts another one on top. */
struct frame {
    char *text;
    size_t n;
    size_t at;
    unsigned file;
    unsigned line;
};

enum scan_state { SCAN_PLAIN, SCAN_STRING, SCAN_LINE_COMMENT, SCAN_BLOCK_COMMENT };

struct scanner {
    struct option_source *source;
    struct option_report *report;
    struct frame frames[MAX_DEPTH];
    unsigned depth;
    enum scan_state state;
    unsigned opened_line; /* of the string or comment */
    bool line_is_blank;   /* so far */
    bool wants_value;     /* behind = or : */
    bool failed;
};

static struct frame *top(struct scanner *s)
{
    return &s->frames[s->depth - 1];
}

static struct option_place place_of(const struct scanner *s, const struct frame *frame,
                                    unsigned line)
{
    return (struct option_place){.place = s->source->names[frame->file], .line = line};
}

#define MISTAKE(s, line, ...)                                         \
    ((s)->failed = true, option_report_add((s)->report, OPTION_ERROR, \
                                           place_of((s), top(s), (line)), NULL, __VA_ARGS__))

static void emit(struct scanner *s, const char *p, size_t n)
{
    if (buf_append(&s->source->text, p, n) < 0)
        s->failed = true;
}

/* The output begins a line that comes from the present place. */
static void emit_line_start(struct scanner *s)
{
    struct source_line line = {.file = top(s)->file, .line = top(s)->line};

    if (buf_append(&s->source->lines, &line, sizeof(line)) < 0)
        s->failed = true;
}

/* ---- files ---- */

static int open_regular(const char *path, struct stat *ret_st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int r = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, ret_st) < 0)
        r = -errno;
    else if (S_ISDIR(ret_st->st_mode))
        r = -EISDIR;
    else if (!S_ISREG(ret_st->st_mode))
        r = -EINVAL;
    else if (ret_st->st_size > FILE_MAX_BYTES)
        r = -EFBIG;
    if (r < 0)
        fd_close(&fd);
    return r < 0 ? r : fd;
}

/* The whole file into the heap. A file that grows meanwhile is read up to its first length. */
static int read_file(const char *path, char **ret_text, size_t *ret_n, unsigned *ret_mode)
{
    struct stat st;
    char *text;
    int fd = open_regular(path, &st);
    int r;

    if (fd < 0)
        return fd;
    text = malloc((size_t)st.st_size + 1);
    r = text == NULL ? -ENOMEM : fd_read_full(fd, text, (size_t)st.st_size);
    fd_close(&fd);
    if (r < 0) {
        free(text);
        return r;
    }
    *ret_text = text;
    *ret_n = (size_t)st.st_size;
    *ret_mode = st.st_mode & 07777;
    return 0;
}

static int push_file(struct scanner *s, const char *path)
{
    struct option_source *source = s->source;
    struct frame frame = {.line = 1, .file = (unsigned)source->file_count};
    char *name;
    int r;

    if (s->depth == MAX_DEPTH)
        return -ELOOP;
    if (source->file_count == OPTION_SOURCE_MAX_FILES)
        return -EMFILE;
    r = read_file(path, &frame.text, &frame.n, &source->modes[frame.file]);
    if (r < 0)
        return r;
    name = strdup(path);
    if (name == NULL) {
        secret_wipe(frame.text, frame.n);
        free(frame.text);
        return -ENOMEM;
    }
    source->names[source->file_count++] = name;
    s->frames[s->depth++] = frame;
    if (memchr(frame.text, '\0', frame.n) != NULL) {
        MISTAKE(s, 0, "is no text file: it holds a zero byte");
        top(s)->at = frame.n;
    }
    return 0;
}

static void pop_file(struct scanner *s)
{
    struct frame *frame = top(s);

    secret_wipe(frame->text, frame->n);
    free(frame->text);
    s->depth--;
}

static const char *read_words(int r)
{
    switch (r) {
    case -EINVAL:
        return "it is no regular file";
    case -EFBIG:
        return "it is larger than 1 MiB";
    case -ELOOP:
        return "includes are nested too deep (does a file include itself?)";
    case -EMFILE:
        return "too many files are included";
    default:
        return strerror(-r);
    }
}

/* ---- @include ---- */

/* The name in quotes behind @include, or an empty slice. Moves behind it. */
static struct slice include_name(struct frame *frame)
{
    size_t at = frame->at + strlen("@include");
    struct slice name = {0};
    size_t start;

    while (at < frame->n && (frame->text[at] == ' ' || frame->text[at] == '\t'))
        at++;
    if (at < frame->n && frame->text[at] == '"') {
        start = ++at;
        while (at < frame->n && frame->text[at] != '"' && frame->text[at] != '\n')
            at++;
        if (at < frame->n && frame->text[at] == '"')
            name = slice_of(frame->text + start, at++ - start);
    }
    frame->at = at;
    return name;
}

/* Relative to the folder of the file it stands in. NULL: out of memory. */
static char *include_path(const char *from, struct slice name)
{
    const char *slash = strrchr(from, '/');
    int folder = slash != NULL && name.p[0] != '/' ? (int)(slash - from) + 1 : 0;
    char *path;

    if (asprintf(&path, "%.*s%.*s", folder, from, (int)name.n, (const char *)name.p) < 0)
        return NULL;
    return path;
}

static void include(struct scanner *s)
{
    struct frame *frame = top(s);
    struct slice name = include_name(frame);
    char *path;
    int r;

    if (name.n == 0) {
        MISTAKE(s, frame->line, "@include needs a file name in double quotes");
        return;
    }
    path = include_path(s->source->names[frame->file], name);
    r = path != NULL ? push_file(s, path) : -ENOMEM;
    if (r < 0)
        MISTAKE(s, frame->line, "cannot include %s: %s", path != NULL ? path : "", read_words(r));
    free(path);
    if (r < 0)
        return;
    emit(s, "\n", 1);
    emit_line_start(s);
}

/* The end of a file: back to the one that includes it, on a line of its own. */
static void leave_file(struct scanner *s)
{
    if (s->state == SCAN_STRING)
        MISTAKE(s, s->opened_line, "the string that begins here is not closed");
    else if (s->state == SCAN_BLOCK_COMMENT)
        MISTAKE(s, s->opened_line, "the comment that begins here is not closed");
    s->state = SCAN_PLAIN;
    pop_file(s);
    if (s->depth == 0)
        return;
    emit(s, "\n", 1);
    emit_line_start(s);
}

/* ---- tokens ---- */

/* Two slashes behind a colon are a URL whose quotes were forgotten. */
static bool begins_comment(const struct frame *frame, size_t at)
{
    if (at + 1 >= frame->n)
        return false;
    return frame->text[at + 1] == '*' ||
           (frame->text[at + 1] == '/' && (at == 0 || frame->text[at - 1] != ':'));
}

/* The length of what stands here without a break: a number, a name, or a value without quotes. */
static size_t run_length(const struct frame *frame)
{
    size_t n = 0;

    while (frame->at + n < frame->n) {
        unsigned char c = (unsigned char)frame->text[frame->at + n];

        if (!isalnum(c) && strchr("_-+.*/\\:@%$~", c) == NULL && c < 0x80)
            break;
        if (c == '/' && begins_comment(frame, frame->at + n))
            break;
        n++;
    }
    return n;
}

static bool all_of(const char *p, size_t n, int (*is)(int))
{
    for (size_t i = 0; i < n; i++)
        if (!is((unsigned char)p[i]))
            return false;
    return n > 0;
}

static bool is_hex(const char *p, size_t n)
{
    return n > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && all_of(p + 2, n - 2, isxdigit);
}

static bool is_whole(const char *p, size_t n)
{
    size_t sign = n > 0 && (p[0] == '-' || p[0] == '+');

    return all_of(p + sign, n - sign, isdigit) || is_hex(p, n);
}

static bool is_float(const char *p, size_t n)
{
    char copy[64], *end;

    if (n >= sizeof(copy) || strspn(p, "+-.0123456789eE") < n)
        return false;
    memcpy(copy, p, n);
    copy[n] = '\0';
    (void)strtod(copy, &end);
    return end != copy && *end == '\0';
}

enum word_kind { WORD_BARE, WORD_WHOLE, WORD_OTHER };

/* WHOLE: a whole number that lacks its L. OTHER: libconfig takes it as it is. */
static enum word_kind classify(const char *p, size_t n)
{
    size_t suffix = 0;

    if ((n == 4 && strncasecmp(p, "true", 4) == 0) || (n == 5 && strncasecmp(p, "false", 5) == 0))
        return WORD_OTHER;
    if (is_whole(p, n))
        return WORD_WHOLE;
    while (suffix < 2 && suffix < n && p[n - suffix - 1] == 'L')
        suffix++;
    if (suffix > 0 && is_whole(p, n - suffix))
        return WORD_OTHER;
    return is_float(p, n) ? WORD_OTHER : WORD_BARE;
}

static void scan_value(struct scanner *s)
{
    struct frame *frame = top(s);
    size_t n = run_length(frame);
    const char *p = frame->text + frame->at;
    enum word_kind kind = classify(p, n);

    /* The word itself is not shown: it may be a key. */
    if (kind == WORD_BARE)
        MISTAKE(s, frame->line,
                "a value that is neither a plain number nor true or false needs double quotes, as "
                "in \"16M\" or \"/var/lib\"");
    emit(s, p, n);
    if (kind == WORD_WHOLE)
        emit(s, "L", 1);
    frame->at += n;
    s->wants_value = false;
}

static void copy_char(struct scanner *s)
{
    struct frame *frame = top(s);
    char c = frame->text[frame->at++];

    emit(s, &c, 1);
    if (c != '\n')
        return;
    frame->line++;
    s->line_is_blank = true;
    emit_line_start(s);
}

static bool looks_at(const struct frame *frame, const char *word)
{
    size_t n = strlen(word);

    return frame->n - frame->at >= n && memcmp(frame->text + frame->at, word, n) == 0;
}

static void enter(struct scanner *s, enum scan_state state)
{
    s->state = state;
    s->opened_line = top(s)->line;
}

static void scan_plain(struct scanner *s)
{
    struct frame *frame = top(s);
    char c = frame->text[frame->at];

    if (c == '#' || looks_at(frame, "//")) {
        enter(s, SCAN_LINE_COMMENT);
    } else if (looks_at(frame, "/*")) {
        enter(s, SCAN_BLOCK_COMMENT);
        copy_char(s); /* so that the star cannot close it at once */
    } else if (c == '"') {
        enter(s, SCAN_STRING);
        s->wants_value = false;
    } else if (s->line_is_blank && looks_at(frame, "@include")) {
        include(s);
        return;
    } else if (s->wants_value && run_length(frame) > 0 && c != ':') {
        scan_value(s);
        return;
    } else if (c == '=' || c == ':') {
        s->wants_value = true;
    } else if (!isspace((unsigned char)c)) {
        s->wants_value = false;
    }
    if (!isspace((unsigned char)c))
        s->line_is_blank = false;
    copy_char(s);
}

static void scan(struct scanner *s)
{
    struct frame *frame = top(s);

    switch (s->state) {
    case SCAN_PLAIN:
        scan_plain(s);
        return;
    case SCAN_STRING:
        if (frame->text[frame->at] == '"')
            s->state = SCAN_PLAIN;
        else if (frame->text[frame->at] == '\\' && frame->at + 1 < frame->n)
            copy_char(s);
        break;
    case SCAN_LINE_COMMENT:
        if (frame->text[frame->at] == '\n')
            s->state = SCAN_PLAIN;
        break;
    case SCAN_BLOCK_COMMENT:
        if (looks_at(frame, "*/")) {
            s->state = SCAN_PLAIN;
            copy_char(s);
        }
        break;
    }
    copy_char(s);
}

int option_source_read(struct option_source *source, const char *path, struct option_report *report)
{
    struct scanner s = {.source = source, .report = report, .line_is_blank = true};
    int r;

    *source = (struct option_source){0};
    buf_init(&source->text, TEXT_MAX_BYTES);
    buf_init(&source->lines, TEXT_MAX_BYTES * sizeof(struct source_line));
    r = push_file(&s, path);
    if (r == -ENOENT)
        return r;
    if (r < 0) {
        option_report_add(report, OPTION_ERROR, (struct option_place){.place = path}, NULL,
                          "cannot be read: %s", read_words(r));
        return -EINVAL;
    }
    emit_line_start(&s);
    while (s.depth > 0) {
        if (top(&s)->at == top(&s)->n)
            leave_file(&s);
        else
            scan(&s);
    }
    emit(&s, "", 1);
    source->text.n -= source->text.n > 0;
    if (s.failed && report->errors == 0)
        option_report_add(report, OPTION_ERROR, (struct option_place){.place = path}, NULL,
                          "is larger than 4 MiB with all that it includes, or memory ran out");
    return s.failed ? -EINVAL : 0;
}

void option_source_fini(struct option_source *source)
{
    if (source->text.p != NULL)
        secret_wipe(source->text.p, source->text.cap);
    buf_fini(&source->text);
    buf_fini(&source->lines);
    for (size_t i = 0; i < source->file_count; i++)
        free(source->names[i]);
    *source = (struct option_source){0};
}

static bool line_at(const struct option_source *source, unsigned line, struct source_line *ret)
{
    size_t count = source->lines.n / sizeof(*ret);

    if (line == 0 || count == 0)
        return false;
    if (line > count)
        line = (unsigned)count;
    memcpy(ret, source->lines.p + (line - 1) * sizeof(*ret), sizeof(*ret));
    return true;
}

struct option_place option_source_place(const struct option_source *source, unsigned line)
{
    struct source_line from;

    if (!line_at(source, line, &from))
        return (struct option_place){.place = source->file_count > 0 ? source->names[0] : NULL};
    return (struct option_place){.place = source->names[from.file], .line = from.line};
}

bool option_source_is_public(const struct option_source *source, unsigned line)
{
    struct source_line from;

    return line_at(source, line, &from) && (source->modes[from.file] & 04) != 0;
}
