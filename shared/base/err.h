/*
 * err: the human's reason for a failure.
 *
 * A function that can fail returns 0 or -errno and takes `struct err *err` as its last input; the
 * text says what was tried and why it failed, without a trailing newline. Whoever handles the
 * failure logs it, once. NULL is accepted everywhere: the caller then wants the number only.
 *
 *     struct err err = {0};
 *     if (thing_open(path, &err) < 0)
 *         log_error("cannot open the thing: %s", err.text);
 */
#ifndef SHARED_BASE_ERR_H
#define SHARED_BASE_ERR_H

#define ERR_TEXT_BYTES 512

struct err {
    char text[ERR_TEXT_BYTES];
};

/* Sets the text and returns -code (code is a positive errno). Long texts are cut. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, and appends ": " and strerror(code). */
int err_errno(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the present text, for a caller that knows more. */
void err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
