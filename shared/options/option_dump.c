#include "shared/options/option_dump.h"

#include <string.h>

#include "shared/options/option_group.h"
#include "shared/options/options_internal.h"

#define WIDTH 100
#define ROFF_WIDTH 72

struct command_row {
    char letter;
    const char *name;
    const char *argument;
    const char *help;
};

#define COMMAND_LINE(ID, letter, name, argument, help) {(letter), (name), (argument), (help)},
static const struct command_row commands[] = {
#include "shared/options/command_line.def"
};
#undef COMMAND_LINE

/* Words of `text` in lines of at most WIDTH, each behind `lead`. */
static void wrap(FILE *out, const char *lead, const char *text)
{
    size_t at = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (at > 0 && at + 1 + n > WIDTH) {
            fputc('\n', out);
            at = 0;
        }
        at += (size_t)fprintf(out, "%s%.*s", at == 0 ? lead : " ", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static const char *when_words(enum option_id id)
{
    if (option_is_fixed(id))
        return "Needs a restart of sluiced.";
    return option_is_reloadable(id) || option_roles(id) == 0
               ? "SIGHUP takes it up at once."
               : "SIGHUP restarts the stages that it concerns.";
}

/* ---- --help ---- */

static void help_commands(FILE *out)
{
    char left[64];

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command_row *row = &commands[i];
        char letter[8] = "    ";

        if (row->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name,
                 row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
        fprintf(out, "  %s\n", left);
        wrap(out, "        ", row->help);
    }
}

void option_dump_help(FILE *out)
{
    struct option_ordered ordered = option_group_order();
    struct slice group = {0};
    char variable[OPTION_NAME_BYTES], takes[128], value[128];

    fprintf(out, "Usage: sluiced [OPTION]...\n"
                 "Receives logs over Fluent Forward, keeps them in a journal on the disk and "
                 "delivers them over OTLP.\n\n");
    help_commands(out);
    fprintf(out, "\nConfiguration: each of these in the file, as an environment variable, or with "
                 "--set, the later over\nthe earlier. See sluice.conf(5).\n");
    for (size_t i = 0; i < OPT_COUNT; i++) {
        enum option_id id = ordered.ids[i];
        const struct option_row *row = option_row(id);

        if (i == 0 || !slice_equal(group, option_group_of(id)))
            fputc('\n', out);
        group = option_group_of(id);
        option_variable(id, variable);
        fprintf(out, "  %s = %s  (%s)\n", row->path, option_group_default(id, value, sizeof(value)),
                option_group_takes(id, takes, sizeof(takes)));
        wrap(out, "        ", row->help);
        fprintf(out, "        %s%s%s\n", variable, row->alias != NULL ? ", " : "",
                row->alias != NULL ? row->alias : "");
    }
    fprintf(out, "\nA secret can also be read from a file: %s_FILE names it.\n",
            option_row(OPT_OTLP_API_KEY)->alias);
}

/* ---- sluice.conf ---- */

static void conf_option(FILE *out, enum option_id id, const char *indent)
{
    const struct option_row *row = option_row(id);
    char variable[OPTION_NAME_BYTES], text[512], takes[128], lead[16], value[128];

    snprintf(lead, sizeof(lead), "%s# ", indent);
    wrap(out, lead, row->help);
    option_variable(id, variable);
    snprintf(text, sizeof(text), "Takes %s. Environment: %s%s%s. %s",
             option_group_takes(id, takes, sizeof(takes)), variable, row->alias != NULL ? ", " : "",
             row->alias != NULL ? row->alias : "", when_words(id));
    wrap(out, lead, text);
    fprintf(out, "%s#%s = %s;\n", indent, option_group_member(id),
            option_group_default(id, value, sizeof(value)));
}

void option_dump_conf(FILE *out)
{
    struct option_ordered ordered = option_group_order();
    struct slice group = {0};

    fprintf(out,
            "# Configuration of sluiced, see sluice.conf(5). Every line that begins with # and a\n"
            "# name shows an option with its default: take the # away to change it.\n"
            "# sluiced --check-config names every mistake; SIGHUP takes changes up.\n"
            "# Environment variables and --set come over what stands here.\n");
    for (size_t i = 0; i < OPT_COUNT; i++) {
        struct slice next = option_group_of(ordered.ids[i]);

        if (!slice_equal(group, next)) {
            if (group.n > 0)
                fprintf(out, "};\n");
            fprintf(out, "\n%.*s: {\n", (int)next.n, (const char *)next.p);
        } else {
            fputc('\n', out);
        }
        group = next;
        conf_option(out, ordered.ids[i], group.n > 0 ? "    " : "");
    }
    if (group.n > 0)
        fprintf(out, "};\n");
}

/* ---- --show-config ---- */

void option_dump_values(const struct options *options, FILE *out)
{
    struct option_ordered ordered = option_group_order();
    char text[64];

    for (size_t i = 0; i < OPT_COUNT; i++) {
        enum option_id id = ordered.ids[i];
        const struct option_row *row = option_row(id);
        const char *value = options_show(options, id, text, sizeof(text));
        bool bare = row->type == OPTION_TYPE_BOOL || row->type == OPTION_TYPE_INT ||
                    (row->flags & OPTION_SECRET) != 0;

        fprintf(out, bare ? "%s = %s" : "%s = \"%s\"", row->path, value);
        fprintf(out, "    (%s)\n", options_origin_text(options, id));
    }
}

/* ---- man pages ---- */

/* Text for roff: nothing in it is a request or an escape, and - is a minus that can be copied. */
static void roff(FILE *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\')
            fputs("\\e", out);
        else if (*p == '-')
            fputs("\\-", out);
        else if ((*p == '.' || *p == '\'') && p == text)
            fprintf(out, "\\&%c", *p);
        else if (*p == '\'')
            fputs("\\(aq", out);
        else if (*p == '"')
            fputs("\\(dq", out);
        else
            fputc(*p, out);
    }
}

/* The end of the first sentence: a full stop before a blank, or the end. */
static const char *sentence_end(const char *text)
{
    while (*text != '\0' && !(text[0] == '.' && (text[1] == ' ' || text[1] == '\0')))
        text++;
    return *text == '.' ? text + 1 : text;
}

/* Text in short lines, each sentence on a new one, as roff sources should be. */
static void roff_text(FILE *out, const char *text)
{
    while (*text != '\0') {
        const char *end = sentence_end(text);
        size_t column = 0;

        while (text < end) {
            size_t n = strcspn(text, " ");
            char word[128];

            if (column > 0)
                fputc(column + 1 + n > ROFF_WIDTH ? '\n' : ' ', out);
            column = column + 1 + n > ROFF_WIDTH ? n : column + 1 + n;
            snprintf(word, sizeof(word), "%.*s", (int)n, text);
            roff(out, word);
            text += n;
            text += strspn(text, " ");
        }
        fputc('\n', out);
    }
}

static void man_option(FILE *out, enum option_id id)
{
    const struct option_row *row = option_row(id);
    char variable[OPTION_NAME_BYTES], takes[128], value[128], text[256];

    fputs(".TP\n.B ", out);
    roff(out, row->path);
    fputs(" = ", out);
    roff(out, option_group_default(id, value, sizeof(value)));
    fputc('\n', out);
    roff_text(out, row->help);
    snprintf(text, sizeof(text), "Takes %s. %s", option_group_takes(id, takes, sizeof(takes)),
             when_words(id));
    fputs(".br\n", out);
    roff_text(out, text);
    option_variable(id, variable);
    fprintf(out, ".br\nEnvironment: %s%s%s.\n", variable, row->alias != NULL ? ", " : "",
            row->alias != NULL ? row->alias : "");
}

static const char conf_man_head[] =
    ".SH NAME\n"
    "sluice.conf \\- configuration of the log aggregator sluiced\n"
    ".SH DESCRIPTION\n"
    "Every option has a path, such as\n"
    ".BR forward.port ,\n"
    "and can be set in four places.\n"
    "A later one comes over an earlier one:\n"
    ".IP 1. 4\n"
    "the default, shown below;\n"
    ".IP 2. 4\n"
    "the configuration file;\n"
    ".IP 3. 4\n"
    "the environment: the path in capitals with underscores, behind SLUICE_, as in\n"
    "SLUICE_FORWARD_PORT, and for some options a second name, over which the\n"
    "first one comes;\n"
    ".IP 4. 4\n"
    "the command line, as in\n"
    ".BR \"sluiced \\-\\-set forward.port=24224\" .\n"
    ".PP\n"
    "A mistake in any of them stops the start, and is refused by a reload.\n"
    ".B sluiced \\-\\-check\\-config\n"
    "names all of them, each with its file, line and option.\n"
    ".SS The file\n"
    "The part of the path before the dot is a group:\n"
    ".PP\n"
    ".RS 4\n"
    ".nf\n"
    "# a comment\n"
    "data_dir = \"/srv/sluice\";\n"
    "forward: {\n"
    "    port = 24224;\n"
    "    max_chunk = \"32M\";\n"
    "};\n"
    "@include \"outputs.conf\"\n"
    ".fi\n"
    ".RE\n"
    ".PP\n"
    "Text, paths, choices, and sizes and times with a unit stand in double\n"
    "quotes; numbers, true\n"
    "and false do not.\n"
    "Sizes take k, M and G (1024 each), times ms, s, m and h.\n"
    "An option and a group may stand only once.\n"
    "@include stands at the beginning of a line; its name is relative to the file\n"
    "it stands in.\n"
    ".PP\n"
    "A list stands in parentheses, each of its elements in braces.\n"
    "In the environment it is JSON, a list of objects with the same names:\n"
    ".PP\n"
    ".RS 4\n"
    ".nf\n"
    "users = ( { name = \"alice\"; password = \"...\"; },\n"
    "          { name = \"bob\"; password = \"...\"; } );\n"
    "SLUICE_FORWARD_USERS=[{\"name\":\"alice\",\"password\":\"...\"}, ...]\n"
    ".fi\n"
    ".RE\n"
    ".SS Secrets\n"
    "Secrets are taken from the file and the environment, not from the command\n"
    "line, where other\n"
    "users see them.\n"
    "A variable with _FILE behind its name, such as DASH0_API_KEY_FILE, names a\n"
    "file whose first\n"
    "line is the secret; of a list, all of it.\n"
    ".SS Empty variables\n"
    "A second name that is empty, and an empty variable of a secret, count as not\n"
    "set.\n"
    ".SH OPTIONS\n";

void option_dump_conf_man(FILE *out, const char *version)
{
    struct option_ordered ordered = option_group_order();
    struct slice group = {0};

    fprintf(out, ".TH SLUICE.CONF 5 2026-11-22 \"sluice %s\"\n%s.SS General\n", version,
            conf_man_head);
    for (size_t i = 0; i < OPT_COUNT; i++) {
        enum option_id id = ordered.ids[i];

        if (!slice_equal(group, option_group_of(id))) {
            group = option_group_of(id);
            fprintf(out, ".SS %.*s\n", (int)group.n, (const char *)group.p);
        }
        man_option(out, id);
    }
    fputs(".SH SEE ALSO\n.BR sluiced (8)\n", out);
}

static const char daemon_man_head[] =
    ".SH NAME\n"
    "sluiced \\- receive logs, keep them in a journal, deliver them over OTLP\n"
    ".SH SYNOPSIS\n"
    ".B sluiced\n"
    ".RI [ option ...]\n"
    ".SH DESCRIPTION\n"
    "sluiced takes logs over the Fluent Forward protocol, writes them into a\n"
    "journal on the disk,\n"
    "acknowledges them once they are durable there, and delivers them as\n"
    "OpenTelemetry logs to an\n"
    "OTLP/HTTP server or a file.\n"
    "What is acknowledged is delivered at least once, whatever dies.\n"
    ".PP\n"
    "It runs in the foreground and starts a receiver, a processor and a shipper,\n"
    "each confined to\n"
    "what its task needs and started again when it dies.\n"
    "Its own log lines go to standard error.\n"
    ".SH OPTIONS\n";

static const char daemon_man_tail[] =
    ".SH ENVIRONMENT\n"
    "Every option of\n"
    ".BR sluice.conf (5)\n"
    "has a variable, SLUICE_ and its path in capitals, and some have a second one:\n";

static const char daemon_man_signals[] =
    ".PP\n"
    "Secrets are overwritten in the environment of the process once they are read.\n"
    ".SH SIGNALS\n"
    ".TP\n"
    ".BR SIGTERM ,\\  SIGINT\n"
    "Stop: no new input, what was received goes into the journal, what waits is\n"
    "delivered for as\n"
    "long as\n"
    ".B shutdown.grace\n"
    "allows; the rest stays on the disk.\n"
    ".TP\n"
    ".B SIGHUP\n"
    "Read the configuration again.\n"
    "Where anything in it is wrong, all of it is refused and the old one stays in\n"
    "force.\n"
    ".SH FILES\n";

static const char daemon_man_end[] =
    "The configuration, unless\n"
    ".B \\-\\-config\n"
    "names another; it may be missing.\n"
    ".TP\n"
    ".I /var/lib/sluice\n"
    "The journal, the cursors and the quarantine\n"
    ".RB ( data_dir ).\n"
    ".TP\n"
    ".I /run/sluice/control\n"
    "The socket of sluicectl\n"
    ".RB ( control.path ).\n"
    ".SH EXIT STATUS\n"
    ".TP\n"
    ".B 0\n"
    "It was asked to stop.\n"
    ".TP\n"
    ".B 78\n"
    "The configuration is wrong.\n"
    ".TP\n"
    ".B 100\n"
    "It was started wrongly.\n"
    ".TP\n"
    ".B 101\n"
    "A mistake in sluiced itself.\n"
    ".TP\n"
    ".B 111\n"
    "The machine did not give what is needed; a later start may work.\n"
    ".SH SEE ALSO\n"
    ".BR sluice.conf (5)\n";

void option_dump_daemon_man(FILE *out, const char *version, const char *file)
{
    fprintf(out, ".TH SLUICED 8 2026-11-22 \"sluice %s\"\n%s", version, daemon_man_head);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command_row *row = &commands[i];

        fputs(".TP\n", out);
        fputs(row->argument != NULL ? ".BI " : ".B ", out);
        if (row->letter != 0)
            fprintf(out, "\\-%c\\ ", row->letter);
        fputs("\\-\\-", out);
        roff(out, row->name);
        if (row->argument != NULL)
            fprintf(out, "\\  %s", row->argument);
        fputc('\n', out);
        roff_text(out, row->help);
    }
    fputs(daemon_man_tail, out);
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);

        if (row->alias == NULL)
            continue;
        fprintf(out, ".TP\n.B %s\n", row->alias);
        roff(out, row->path);
        fputc('\n', out);
    }
    fprintf(out, "%s.TP\n.I ", daemon_man_signals);
    roff(out, file);
    fprintf(out, "\n%s", daemon_man_end);
}
