/*
 * notify: tells the service manager (systemd, or whoever set NOTIFY_SOCKET) how sluiced is. Without
 * one nothing happens. WATCHDOG=1 comes from the event loop (sd_event_set_watchdog).
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);
/* With MONOTONIC_USEC, for Type=notify-reload. notify_ready() ends it. */
void notify_reloading(void);
/* STATUS=…: one line for people. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
